import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answer, Questions } from '../../src/agent/questions.ts';
import type { Question, QuestionSettled } from '../../src/protocol/agent.ts';
import type { QuestionKind } from '../../src/protocol/registry.ts';

function setUp() {
  const asked: Question[] = [];
  const settled: QuestionSettled[] = [];
  const answers: [id: string, answer: Answer][] = [];
  const questions = new Questions({ onAsked: (question) => asked.push(question), onSettled: (it) => settled.push(it) });
  const ask = (id: string, kind: QuestionKind, more: Partial<Question> = {}) =>
    questions.ask({ id, kind, title: id, askedAt: 0, ...more }, (answer) => answers.push([id, answer]));
  return { questions, asked, settled, answers, ask };
}

describe('Questions', () => {
  it('wait in the order they were asked', () => {
    const { questions, ask } = setUp();
    ask('a', 'confirm');
    ask('b', 'input');
    assert.deepEqual(
      questions.all.map(({ id }) => id),
      ['a', 'b'],
    );
    assert.equal(questions.size, 2);
  });

  it('are settled by the first answer; a second one is told what was decided', () => {
    const { questions, settled, answers, ask } = setUp();
    ask('a', 'select', { options: ['x', 'y'] });
    assert.equal(questions.answer('a', 'y', 'phone'), null);
    const decided: QuestionSettled = {
      type: 'question_settled',
      id: 'a',
      by: 'dashboard',
      client: 'phone',
      value: 'y',
    };
    assert.deepEqual(settled, [decided]);
    assert.deepEqual(answers, [['a', 'y']]);
    assert.deepEqual(questions.answer('a', 'x', null), decided);
    assert.deepEqual(questions.dismiss('a', null), decided);
    assert.equal(questions.size, 0);
    assert.equal(answers.length, 1);
  });

  it('settled in the terminal are asked of nobody else', () => {
    const { questions, settled, answers, ask } = setUp();
    ask('a', 'confirm');
    questions.settled('a', 'terminal', true);
    questions.settled('a', 'terminal', false);
    assert.deepEqual(settled, [{ type: 'question_settled', id: 'a', by: 'terminal', value: true }]);
    assert.deepEqual(questions.answer('a', false, null), settled[0]);
    assert.deepEqual(answers, []);
  });

  const wrong: [QuestionKind, unknown][] = [
    ['confirm', 'yes'],
    ['select', 'z'],
    ['select', true],
    ['input', true],
    ['editor', false],
    ['custom', 'x'],
  ];
  for (const [kind, value] of wrong) {
    it(`refuse ${JSON.stringify(value)} for a ${kind}, and go on waiting`, () => {
      const { questions, answers, ask } = setUp();
      ask('a', kind, kind === 'select' ? { options: ['x', 'y'] } : {});
      assert.equal(typeof questions.answer('a', value as string, null), 'string');
      assert.equal(questions.size, 1);
      assert.deepEqual(answers, []);
    });
  }

  it('can be dismissed, but for those that only the terminal can end', () => {
    const { questions, settled, answers, ask } = setUp();
    ask('a', 'input', { dismissStops: true });
    ask('b', 'custom');
    assert.deepEqual(questions.dismiss('a', 'phone'), {
      dismissed: { id: 'a', kind: 'input', title: 'a', askedAt: 0, dismissStops: true },
    });
    assert.deepEqual(answers, [['a', undefined]]);
    assert.equal(typeof questions.dismiss('b', null), 'string');
    assert.deepEqual(settled, [{ type: 'question_settled', id: 'a', by: 'dismissed', client: 'phone' }]);
  });

  it('that nobody asked are known to nobody', () => {
    const { questions } = setUp();
    assert.equal(questions.answer('a', 'x', null), 'No such question');
    assert.equal(questions.dismiss('a', null), 'No such question');
    questions.settled('a', 'gone', undefined);
  });

  it('are told again under a title that was learnt later', () => {
    const { questions, asked, ask } = setUp();
    ask('a', 'custom');
    questions.rename('a', 'Pick a colour');
    questions.rename('a', 'Pick a colour');
    assert.deepEqual(
      asked.map(({ title }) => title),
      ['a', 'Pick a colour'],
    );
    assert.equal(questions.all[0]?.title, 'Pick a colour');
  });

  it('end with whoever asked', () => {
    const { questions, settled, answers, ask } = setUp();
    ask('a', 'confirm');
    ask('b', 'confirm');
    questions.clear();
    assert.deepEqual(
      settled.map(({ id, by }) => [id, by]),
      [
        ['a', 'gone'],
        ['b', 'gone'],
      ],
    );
    assert.deepEqual(answers, []);
  });

  it('forget the oldest that are settled, and never one that waits', () => {
    const { questions, ask } = setUp();
    ask('first', 'confirm');
    for (let i = 0; i < 70; i++) {
      ask(`q${i}`, 'confirm');
      questions.settled(`q${i}`, 'terminal', true);
    }
    assert.equal(questions.answer('q5', true, null), 'No such question');
    assert.equal((questions.answer('q6', true, null) as QuestionSettled).id, 'q6');
    assert.equal(questions.answer('first', true, null), null);
  });
});
