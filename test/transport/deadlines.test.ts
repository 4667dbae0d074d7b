import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { Deadline, Deadlines } from '../../src/transport/deadlines.ts';

const TICK_MS = 50;
/** One turn of the wheel. */
const TURN_MS = 512 * TICK_MS;

/** A wheel whose clock and timers the test drives, and a log of what expired when. */
class DrivenWheel {
  now = 1000.25;
  readonly expired: { name: string; at: number }[] = [];
  readonly deadlines: Deadlines;
  readonly #timers: TestContext['mock']['timers'];

  constructor(t: TestContext) {
    this.#timers = t.mock.timers;
    this.#timers.enable({ apis: ['setTimeout'] });
    this.deadlines = new Deadlines(() => this.now);
  }

  deadline(name: string, act: (self: Deadline) => void = () => {}): Deadline {
    const deadline = new Deadline({
      onDeadline: () => {
        this.expired.push({ name, at: this.now });
        act(deadline);
      },
    });
    return deadline;
  }

  /** Time passes, a millisecond at a time, or in longer strides. */
  pass(ms: number, strideMs = 1): void {
    for (let passed = 0; passed < ms; passed += strideMs) {
      this.now += strideMs;
      this.#timers.tick(strideMs);
    }
  }

  get names(): string[] {
    return this.expired.map(({ name }) => name);
  }
}

for (const delayMs of [0, 1, 49, 50, 51, 120, 1000]) {
  test(`${delayMs} ms: once, never early, late by a tick at most`, (t) => {
    const wheel = new DrivenWheel(t);
    wheel.pass(17);
    const setAt = wheel.now;
    wheel.deadlines.set(wheel.deadline('a'), delayMs);
    wheel.pass(delayMs + 3 * TICK_MS);
    assert.deepEqual(wheel.names, ['a']);
    const at = wheel.expired[0]?.at ?? 0;
    assert.ok(at >= setAt + delayMs, `early by ${setAt + delayMs - at} ms`);
    assert.ok(at <= setAt + delayMs + TICK_MS + 1, `late by ${at - setAt - delayMs} ms`);
  });
}

for (const delayMs of [TURN_MS - TICK_MS, TURN_MS, TURN_MS + 1, 3 * TURN_MS + 7, 60_000]) {
  test(`${delayMs} ms, around and beyond a turn of the wheel`, (t) => {
    const wheel = new DrivenWheel(t);
    const setAt = wheel.now;
    wheel.deadlines.set(wheel.deadline('far'), delayMs);
    // A neighbour in the same slot that is due a turn before, or at once.
    wheel.deadlines.set(wheel.deadline('near'), delayMs % TURN_MS);
    wheel.pass(delayMs + 2 * TICK_MS, 5);
    assert.deepEqual(wheel.names, ['near', 'far']);
    const far = wheel.expired[1]?.at ?? 0;
    assert.ok(far >= setAt + delayMs && far <= setAt + delayMs + TICK_MS + 5, `at ${far - setAt}`);
  });
}

test('what a handler sets far ahead does not make a nearer one late', (t) => {
  const wheel = new DrivenWheel(t);
  const pinging = wheel.deadline('ping', (self) => wheel.deadlines.set(self, 25_000));
  wheel.deadlines.set(pinging, 100);
  wheel.deadlines.set(wheel.deadline('head'), 200);
  wheel.pass(300);
  assert.deepEqual(wheel.names, ['ping', 'head']);
});

test('a handler may set itself, another that is due, and clear one that is due', (t) => {
  const wheel = new DrivenWheel(t);
  const { deadlines } = wheel;
  // All three in one slot, served last in, first out.
  const cleared = wheel.deadline('cleared');
  const moved = wheel.deadline('moved');
  const first = wheel.deadline('first', (self) => {
    deadlines.clear(cleared);
    deadlines.set(moved, 500);
    if (wheel.expired.length < 3) deadlines.set(self, 0);
  });
  deadlines.set(cleared, 100);
  deadlines.set(moved, 100);
  deadlines.set(first, 100);
  wheel.pass(400);
  assert.deepEqual(wheel.names, ['first', 'first', 'first']);
  assert.equal(deadlines.size, 1);
  wheel.pass(400);
  assert.deepEqual(wheel.names, ['first', 'first', 'first', 'moved']);
  assert.equal(deadlines.size, 0);
});

test('a handler that throws is not silenced, and stops no later deadline', (t) => {
  const wheel = new DrivenWheel(t);
  const faulty = wheel.deadline('faulty', () => {
    throw new Error('a fault');
  });
  wheel.deadlines.set(faulty, 100);
  wheel.deadlines.set(wheel.deadline('later'), 300);
  assert.throws(() => wheel.pass(200), /a fault/);
  wheel.pass(300);
  assert.deepEqual(wheel.names, ['faulty', 'later']);
});

test('clearing what is not set, twice too, changes nothing', (t) => {
  const wheel = new DrivenWheel(t);
  const a = wheel.deadline('a');
  wheel.deadlines.clear(a);
  wheel.deadlines.set(a, 100);
  wheel.deadlines.clear(a);
  wheel.deadlines.clear(a);
  assert.equal(wheel.deadlines.size, 0);
  wheel.pass(200);
  assert.deepEqual(wheel.expired, []);
});

test('Infinity is never, and moving to it clears', (t) => {
  const wheel = new DrivenWheel(t);
  const a = wheel.deadline('a');
  wheel.deadlines.set(a, 100);
  wheel.deadlines.set(a, Number.POSITIVE_INFINITY);
  assert.equal(wheel.deadlines.size, 0);
  wheel.pass(300);
  assert.deepEqual(wheel.expired, []);
});

test('the first reader of the time notices a sleep, and it is subtracted once', (t) => {
  const wheel = new DrivenWheel(t);
  wheel.deadlines.set(wheel.deadline('a'), 100);
  wheel.pass(60);
  const before = wheel.deadlines.now();
  wheel.now += 3_600_000;
  const after = wheel.deadlines.now();
  assert.ok(after >= before && after <= before + 2 * TICK_MS, `${after - before} ms have passed`);
  wheel.pass(2 * TICK_MS);
  assert.deepEqual(wheel.names, ['a']);
  assert.ok(wheel.deadlines.now() - after <= 2 * TICK_MS);
});

test('time asleep does not count: a peer has the rest of its time after the sleep', (t) => {
  const wheel = new DrivenWheel(t);
  wheel.deadlines.set(wheel.deadline('first'), 1000);
  wheel.deadlines.set(wheel.deadline('second'), 5000);
  wheel.pass(500);
  const before = wheel.deadlines.now();
  wheel.pass(3_600_000, 3_600_000);
  assert.deepEqual(wheel.names, ['first']);
  assert.ok(wheel.deadlines.now() - before <= 600, 'the clock stood still');
  wheel.pass(3900, 10);
  assert.deepEqual(wheel.names, ['first']);
  wheel.pass(200, 10);
  assert.deepEqual(wheel.names, ['first', 'second']);
});

test('being busy counts: a late timer serves all that fell due meanwhile', (t) => {
  const wheel = new DrivenWheel(t);
  const names = Array.from({ length: 20 }, (_, i) => `${i}`);
  for (const name of names) wheel.deadlines.set(wheel.deadline(name), 1 + Number(name) * 99);
  wheel.pass(1900, 1900);
  assert.deepEqual(wheel.names.sort(), names.sort());
});

test('a wheel that was empty for many turns starts as a new one does', (t) => {
  const wheel = new DrivenWheel(t);
  wheel.deadlines.set(wheel.deadline('before'), 10);
  wheel.pass(100);
  wheel.pass(100 * TURN_MS, TURN_MS);
  wheel.deadlines.set(wheel.deadline('after'), 200);
  wheel.pass(199);
  assert.deepEqual(wheel.names, ['before']);
  wheel.pass(100);
  assert.deepEqual(wheel.names, ['before', 'after']);
});

test('a delay longer than a timer can be is slept in parts', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const deadlines = new Deadlines();
  const far = new Deadline({ onDeadline: () => assert.fail('a month has not passed') });
  deadlines.set(far, 31 * 24 * 3600 * 1000);
  await delay(20);
  deadlines.clear(far);
  assert.ok(!warnings.includes('TimeoutOverflowWarning'));
});

/** What a handler does when its deadline expires, or what the test does at once. */
type Command = { kind: 'set'; who: number; delayMs: number } | { kind: 'clear'; who: number };
type Step = Command | { kind: 'on expiry'; of: number; command: Command } | { kind: 'pass'; ms: number };

test('behaves as a naive list of due times does, whatever is set, moved and cleared, by handlers too', (t) => {
  const who = fc.nat({ max: 7 });
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), who, delayMs: fc.oneof(fc.nat(300), fc.nat(2 * TURN_MS)) }),
    fc.record({ kind: fc.constant('clear' as const), who }),
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: command },
    fc.record({ kind: fc.constant('on expiry' as const), of: who, command }),
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.oneof(fc.nat(120), fc.nat(TURN_MS)) }),
    },
  );
  const STRIDE_MS = 10;

  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      t.mock.timers.reset();
      const wheel = new DrivenWheel(t);
      const dueAt = new Map<number, number>();
      const onExpiry = new Map<number, Command>();
      const run = (command: Command) => {
        const deadline = all[command.who] as Deadline;
        if (command.kind === 'set') {
          wheel.deadlines.set(deadline, command.delayMs);
          dueAt.set(command.who, wheel.now + command.delayMs);
        } else {
          wheel.deadlines.clear(deadline);
          dueAt.delete(command.who);
        }
      };
      const all = Array.from({ length: 8 }, (_, i) =>
        wheel.deadline(`${i}`, () => {
          const due = dueAt.get(i);
          assert.ok(due !== undefined, `${i} was not set`);
          assert.ok(wheel.now >= due, `${i} early by ${due - wheel.now}`);
          assert.ok(wheel.now <= due + TICK_MS + STRIDE_MS, `${i} late by ${wheel.now - due}`);
          dueAt.delete(i);
          const command = onExpiry.get(i);
          onExpiry.delete(i);
          if (command !== undefined) run(command);
        }),
      );
      for (const step of steps) {
        if (step.kind === 'pass') wheel.pass(step.ms, STRIDE_MS);
        else if (step.kind === 'on expiry') onExpiry.set(step.of, step.command);
        else run(step);
        for (const [i, due] of dueAt) assert.ok(wheel.now <= due + TICK_MS + STRIDE_MS, `${i} did not expire`);
        assert.equal(wheel.deadlines.size, dueAt.size);
      }
    }),
    { numRuns: 150 },
  );
});

test('50,000 deadlines, some moved, some cleared: the others expire, each once', (t) => {
  const wheel = new DrivenWheel(t);
  const all = Array.from({ length: 50_000 }, (_, i) => wheel.deadline(`${i}`));
  for (const [i, deadline] of all.entries()) wheel.deadlines.set(deadline, i % 3000);
  for (const [i, deadline] of all.entries()) if (i % 3 === 0) wheel.deadlines.set(deadline, 4000);
  for (const [i, deadline] of all.entries()) if (i % 5 === 0) wheel.deadlines.clear(deadline);
  wheel.pass(5000, TICK_MS);
  const expected = all.map((_, i) => `${i}`).filter((_, i) => i % 5 !== 0);
  assert.deepEqual(new Set(wheel.names), new Set(expected));
  assert.equal(wheel.names.length, expected.length);
  assert.equal(wheel.deadlines.size, 0);
});

test('one timer at most, none without a deadline, and none that keeps the process alive', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const deadlines = new Deadlines();
  const owner = { onDeadline() {} };
  const all = Array.from({ length: 100 }, () => new Deadline(owner));
  for (const [i, deadline] of all.entries()) deadlines.set(deadline, 10_000 - i);
  // A timer that keeps nothing alive is not among the resources.
  assert.equal(timers(), before);
  for (const deadline of all) deadlines.clear(deadline);
  assert.equal(timers(), before);
  assert.equal(deadlines.size, 0);
});

test('on the real clock: not early, and now() is its time', async () => {
  const deadlines = new Deadlines();
  const setAt = performance.now();
  const { promise, resolve } = resolvable();
  deadlines.set(new Deadline({ onDeadline: resolve }), 120);
  // The wheel keeps nothing alive; this does.
  const alive = setInterval(() => {}, 1000);
  await promise;
  clearInterval(alive);
  assert.ok(performance.now() - setAt >= 120);
  assert.ok(Math.abs(deadlines.now() - performance.now()) < 1000);
});

function resolvable(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
