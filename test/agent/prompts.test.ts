import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Prompt, Prompts } from '../../src/agent/prompts.ts';
import type { Delivery, PromptOutcome } from '../../src/protocol/agent.ts';

/** A pi that is free or not, and takes what it is given. */
function setUp() {
  const sent: string[] = [];
  const outcomes: PromptOutcome[] = [];
  const due: number[] = [];
  const pi = { free: true, holds: false, error: null as Error | null, queues: 0, aborts: 0 };
  const prompts = new Prompts({
    send(content, deliver) {
      if (pi.error !== null) throw pi.error;
      sent.push(`${deliver} ${content}`);
    },
    abort: () => pi.aborts++,
    isFree: () => pi.free,
    holdsMessages: () => pi.holds,
    onOutcome: (outcome) => outcomes.push(outcome),
    onQueue: () => pi.queues++,
    onDue: (delayMs) => due.push(delayMs),
  });
  const prompt = (id: string, more: Partial<Prompt> = {}): Prompt => ({
    id,
    text: `text ${id}`,
    content: `text ${id}`,
    deliver: 'followUp' as Delivery,
    attachments: 0,
    client: null,
    isCommand: false,
    ...more,
  });
  const statusOf = (id: string) => outcomes.filter((outcome) => outcome.id === id).map(({ status }) => status);
  return { prompts, sent, outcomes, due, pi, prompt, statusOf };
}

describe('Prompts', () => {
  it('sends one at once to a pi that is free, and counts it as delivered when its message appears', () => {
    const { prompts, sent, prompt, statusOf } = setUp();
    assert.equal(prompts.submit(prompt('a', { client: 'phone', attachments: 2 }), false, 1000), null);
    assert.deepEqual(sent, ['followUp text a']);
    assert.deepEqual(prompts.queue, [
      { id: 'a', text: 'text a', deliver: 'followUp', queuedAt: 1000, attachments: 2, client: 'phone' },
    ]);
    assert.equal(prompts.appeared('text a'), 'a');
    assert.deepEqual(statusOf('a'), ['queued', 'delivered']);
    assert.deepEqual(prompts.queue, []);
  });

  it('never sends a second one before the run of the first has ended', () => {
    const { prompts, sent, prompt, due } = setUp();
    prompts.submit(prompt('a'), false, 0);
    prompts.submit(prompt('b'), false, 0);
    assert.deepEqual(sent, ['followUp text a']);
    prompts.runStarted(1);
    prompts.appeared('text a');
    prompts.proceed(true, 5);
    assert.equal(sent.length, 1);
    prompts.runEnded(false, 10);
    assert.equal(sent.length, 1, 'pi is not free while it says that it has ended');
    assert.equal(due.at(-1), 10);
    prompts.proceed(false, 20);
    assert.deepEqual(sent, ['followUp text a', 'followUp text b']);
  });

  it('waits for a pi that is not free yet', () => {
    const { prompts, sent, prompt, pi, due } = setUp();
    pi.free = false;
    prompts.submit(prompt('a'), false, 0);
    assert.deepEqual([sent, due], [[], [50]]);
    pi.free = true;
    prompts.proceed(false, 50);
    assert.deepEqual(sent, ['followUp text a']);
  });

  it('steers a run at once, several times', () => {
    const { prompts, sent, prompt, statusOf } = setUp();
    prompts.submit(prompt('a'), true, 0);
    prompts.submit(prompt('b', { deliver: 'steer' }), true, 0);
    assert.equal(prompts.steer('a', true, 0), null);
    assert.deepEqual(sent, ['steer text b', 'steer text a']);
    prompts.appeared('text b');
    prompts.appeared('text a');
    assert.deepEqual([statusOf('a').at(-1), statusOf('b').at(-1)], ['delivered', 'delivered']);
  });

  it('steers what waits once a run is under way', () => {
    const { prompts, sent, prompt, pi } = setUp();
    pi.free = false;
    prompts.submit(prompt('a', { deliver: 'steer' }), false, 0);
    assert.deepEqual(sent, []);
    prompts.proceed(true, 5);
    assert.deepEqual(sent, ['steer text a']);
  });

  it('removes what waits, and says why it cannot', () => {
    const { prompts, prompt, statusOf } = setUp();
    prompts.submit(prompt('a'), false, 0);
    prompts.submit(prompt('b'), false, 0);
    assert.equal(prompts.remove('b'), null);
    assert.deepEqual(statusOf('b'), ['queued', 'removed']);
    assert.equal(prompts.remove('b'), 'No such prompt waits');
    assert.equal(prompts.remove('a'), 'pi has this prompt already');
    assert.equal(prompts.steer('a', true, 0), 'pi has this prompt already');
    assert.equal(prompts.steer('x', true, 0), 'No such prompt waits');
  });

  it('refuses what is over its bound, and throws nothing out', () => {
    const { prompts, prompt, statusOf } = setUp();
    for (let i = 0; i < 32; i++) prompts.submit(prompt(`p${i}`), true, 0);
    assert.equal(prompts.queue.length, 32);
    prompts.submit(prompt('more'), true, 0);
    assert.deepEqual(statusOf('more'), ['failed']);
    assert.equal(prompts.queue.length, 32);
    prompts.remove('p0');
    prompts.submit(prompt('again'), true, 0);
    assert.deepEqual(statusOf('again'), ['queued']);
  });

  it('sends nothing twice: an id that came before is answered with what became of it', () => {
    const { prompts, sent, prompt } = setUp();
    prompts.submit(prompt('a'), false, 0);
    assert.deepEqual(prompts.submit(prompt('a'), false, 0), { id: 'a', status: 'queued' });
    prompts.appeared('text a');
    assert.deepEqual(prompts.submit(prompt('a'), false, 0), { id: 'a', status: 'delivered' });
    assert.deepEqual(sent, ['followUp text a']);
  });

  it('gives back all that waits when it is stopped, but not what pi has', () => {
    const { prompts, prompt, outcomes } = setUp();
    prompts.submit(prompt('a'), false, 0);
    prompts.submit(prompt('b'), false, 0);
    prompts.submit(prompt('c'), false, 0);
    prompts.stop(0);
    assert.deepEqual(
      outcomes.filter(({ status }) => status === 'removed'),
      [
        { id: 'b', status: 'removed', error: 'stopped' },
        { id: 'c', status: 'removed', error: 'stopped' },
      ],
    );
    assert.deepEqual(
      prompts.queue.map(({ id }) => id),
      ['a'],
    );
  });

  it('stops what pi begins by itself, until its longest pause is over', () => {
    for (const [after, aborts] of [
      [64_999, 2],
      [65_000, 1],
    ] as const) {
      const { prompts, pi } = setUp();
      prompts.stop(1000);
      assert.equal(pi.aborts, 1);
      prompts.runStarted(1000 + after);
      assert.equal(pi.aborts, aborts);
    }
  });

  it('stops nothing any more once a run has ended for good, or a person goes on', () => {
    const { prompts, prompt, pi } = setUp();
    prompts.stop(0);
    prompts.runEnded(true, 10);
    prompts.runStarted(20);
    assert.equal(pi.aborts, 2, 'pi may have repeated the run by itself');
    for (const goOn of [
      () => prompts.runEnded(false, 30),
      () => prompts.typed('go on', 30),
      () => void prompts.submit(prompt('a'), false, 30),
    ]) {
      prompts.stop(25);
      const { aborts } = pi;
      goOn();
      prompts.runStarted(40);
      assert.equal(pi.aborts, aborts);
    }
  });

  it('lets somebody at the terminal go first, and does not take their message for one of its own', () => {
    const { prompts, sent, prompt, due, statusOf } = setUp();
    prompts.typed('typed', 0);
    prompts.submit(prompt('a'), false, 1);
    assert.deepEqual([sent, due], [[], [1999]]);
    prompts.runStarted(2);
    assert.equal(prompts.appeared('typed'), null);
    prompts.runEnded(false, 500);
    prompts.proceed(false, 510);
    prompts.runStarted(520);
    assert.equal(prompts.appeared('text a'), 'a');
    assert.deepEqual(statusOf('a'), ['queued', 'delivered']);
  });

  it('goes on if nothing comes of what was typed', () => {
    const { prompts, sent, prompt } = setUp();
    prompts.typed('/help', 0);
    prompts.submit(prompt('a'), false, 1);
    prompts.proceed(false, 2000);
    assert.deepEqual(sent, ['followUp text a']);
  });

  it('sends a prompt once more that pi has lost, and then gives up', () => {
    const { prompts, sent, prompt, outcomes } = setUp();
    prompts.submit(prompt('a'), false, 0);
    for (const now of [10, 20]) {
      prompts.runStarted(now - 5);
      prompts.runEnded(false, now);
      prompts.proceed(false, now + 5);
    }
    assert.deepEqual(sent, ['followUp text a', 'followUp text a']);
    assert.equal(outcomes.at(-1)?.status, 'failed');
    assert.match(outcomes.at(-1)?.error ?? '', /did not take/);
  });

  it('does not send again what pi still holds', () => {
    const { prompts, sent, prompt, pi, statusOf } = setUp();
    prompts.submit(prompt('a', { deliver: 'steer' }), true, 0);
    pi.holds = true;
    prompts.runEnded(false, 10);
    prompts.proceed(false, 20);
    assert.deepEqual(sent, ['steer text a']);
    prompts.appeared('text a');
    assert.deepEqual(statusOf('a'), ['queued', 'delivered']);
  });

  it('fails what pi never begins with, and goes on with the next', () => {
    const { prompts, sent, prompt, statusOf, due } = setUp();
    prompts.submit(prompt('a'), false, 0);
    prompts.submit(prompt('b'), false, 0);
    assert.deepEqual(due.at(-1), 30_000);
    prompts.proceed(false, 29_999);
    assert.deepEqual(statusOf('a'), ['queued']);
    assert.equal(due.at(-1), 1);
    prompts.proceed(false, 30_000);
    assert.deepEqual(statusOf('a'), ['queued', 'failed']);
    prompts.proceed(false, 30_010);
    assert.equal(sent.at(-1), 'followUp text b');
  });

  it('is patient with a pi that is busy with it', () => {
    const { prompts, prompt, statusOf, pi, due } = setUp();
    prompts.submit(prompt('a'), false, 0);
    pi.free = false;
    prompts.proceed(false, 30_000);
    assert.deepEqual([statusOf('a'), due.at(-1)], [['queued'], 1000]);
  });

  it('says why pi refused', () => {
    const { prompts, prompt, outcomes, pi } = setUp();
    pi.error = new Error('No model');
    prompts.submit(prompt('a'), false, 0);
    assert.deepEqual(outcomes.at(-1), { id: 'a', status: 'failed', error: 'No model' });
    assert.deepEqual(prompts.queue, []);
  });

  it('has no message to wait for with a command', () => {
    const { prompts, prompt, statusOf, due } = setUp();
    prompts.submit(prompt('a', { isCommand: true }), false, 0);
    assert.deepEqual(statusOf('a'), ['queued', 'delivered']);
    assert.deepEqual(due, []);
  });

  it('knows its own in another form: a template, a picture with a hint, another extension', () => {
    const { prompts, prompt } = setUp();
    prompts.submit(prompt('a'), false, 0);
    assert.equal(prompts.appeared('What /template made of it'), 'a');
    prompts.submit(prompt('b'), false, 0);
    assert.equal(prompts.appeared('text b\n\n[a hint]'), 'b');
    assert.equal(prompts.appeared('typed by somebody'), null);
  });

  it('holds what waited while pi may try a failed run again, unless somebody sends something', () => {
    const { prompts, sent, prompt, due } = setUp();
    prompts.submit(prompt('a'), true, 0);
    prompts.runEnded(true, 100);
    prompts.proceed(false, 110);
    assert.deepEqual([sent, due.at(-1)], [[], 29_990]);
    prompts.submit(prompt('b'), false, 200);
    assert.deepEqual(sent, ['followUp text a']);
  });

  it('remembers the outcomes of late, and no more', () => {
    const { prompts, prompt } = setUp();
    for (let i = 0; i < 70; i++) {
      prompts.submit(prompt(`p${i}`), false, 0);
      prompts.appeared(`text p${i}`);
    }
    assert.equal(prompts.outcomes.length, 64);
    assert.deepEqual(prompts.outcomes.at(-1), { id: 'p69', status: 'delivered' });
  });
});
