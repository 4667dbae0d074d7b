import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NODE_LIMITS, type Node } from '../../src/protocol/registry.ts';
import { applyDetails, isEmpty, readDetails } from '../../src/registry/node-details.ts';

const NODE: Node = { id: 'a', machine: 'm', cwd: '/', port: 1, status: 'active', last_seen: 100 };
const QUESTION = { id: 'q', kind: 'select', title: 'Which one?', options: ['this', 'that'] } as const;
const ALL = {
  name: 'fix the parser',
  session: 's-1',
  model: 'claude',
  state: 'waiting',
  tool: 'bash',
  context: { used: 10, max: 200_000 },
  cost: 0.25,
  question: QUESTION,
  questions: 2,
  successor: 'b',
} as const;

function refuses(params: Record<string, unknown>, field: string): void {
  assert.throws(
    () => readDetails(params),
    { name: 'RpcError', message: `Invalid node info: ${field}` },
    JSON.stringify(params),
  );
}

describe('readDetails', () => {
  it('copies the fields it knows, and no other', () => {
    const { fields, stateAge, toolAge } = readDetails({
      ...ALL,
      id: 'x',
      reach: 'direct',
      state_since: 1,
      __proto__: 2,
    });
    assert.deepEqual(fields, ALL);
    assert.deepEqual([stateAge, toolAge], [null, null]);
    const read = readDetails({ question: { ...QUESTION, extra: 1 }, context: { used: 1, max: 2, extra: 3 } });
    assert.deepEqual(read.fields, { question: QUESTION, context: { used: 1, max: 2 } });
    assert.notEqual(read.fields.question?.options, QUESTION.options, 'a copy');
  });

  it('takes null for each field: it is to be removed', () => {
    for (const field of Object.keys(ALL)) assert.deepEqual(readDetails({ [field]: null }).fields, { [field]: null });
  });

  it('is empty if nothing is said', () => {
    assert.equal(isEmpty(readDetails({})), true);
    assert.equal(isEmpty(readDetails({ id: 'a', state_age: 3 })), true);
    assert.equal(isEmpty(readDetails({ name: null })), false);
  });

  for (const field of ['name', 'session', 'model', 'tool'] as const) {
    it(`bounds ${field}: ${NODE_LIMITS[field]} bytes, counted in UTF-8`, () => {
      const bytes = NODE_LIMITS[field];
      for (const text of ['x'.repeat(bytes), 'é'.repeat(bytes / 2), '']) {
        assert.equal(readDetails({ [field]: text }).fields[field], text);
      }
      for (const text of [
        'x'.repeat(bytes + 1),
        'é'.repeat(bytes / 2 + 1),
        'a\nb',
        '\x1b[31m',
        '\ud800',
        7,
        {},
        true,
      ]) {
        refuses({ [field]: text }, field);
      }
    });
  }

  it('bounds the other fields', () => {
    const good: Record<string, unknown[]> = {
      state: ['idle', 'working', 'waiting', 'failed'],
      context: [
        { used: 0, max: 0 },
        { used: 5, max: 3 },
      ],
      cost: [0, 1.5, 1e9],
      questions: [0, 1, 1_000_000],
      successor: ['x'.repeat(256)],
      question: [
        { id: 'q', kind: 'custom', title: 'x'.repeat(512) },
        { id: 'q', kind: 'input', title: '', options: null },
        { ...QUESTION, options: [] },
        { ...QUESTION, options: Array(16).fill('x'.repeat(128)) },
      ],
    };
    const bad: Record<string, unknown[]> = {
      state: ['busy', '', 'IDLE', 'constructor', 1, {}],
      context: [
        {},
        [],
        'a',
        7,
        { used: 1 },
        { max: 1 },
        { used: -1, max: 1 },
        { used: 1, max: 1.5 },
        { used: '1', max: 1 },
      ],
      cost: [-1, 1e9 + 1, '1', Number.POSITIVE_INFINITY],
      questions: [-1, 1.5, 1_000_001, '1'],
      successor: ['x'.repeat(257), 1, 'a\tb'],
      question: [
        'why?',
        {},
        [],
        { ...QUESTION, id: 7 },
        { ...QUESTION, id: 'x'.repeat(129) },
        { ...QUESTION, kind: 'radio' },
        { ...QUESTION, title: 'x'.repeat(513) },
        { ...QUESTION, title: 'a\nb' },
        { ...QUESTION, options: 'this' },
        { ...QUESTION, options: [1] },
        { ...QUESTION, options: ['x'.repeat(129)] },
        { ...QUESTION, options: Array(17).fill('x') },
      ],
    };
    for (const [field, values] of Object.entries(good)) {
      for (const value of values) assert.doesNotThrow(() => readDetails({ [field]: value }), JSON.stringify(value));
    }
    for (const [field, values] of Object.entries(bad)) for (const value of values) refuses({ [field]: value }, field);
  });

  it('takes no sign of a zero', () => {
    const { fields } = readDetails(JSON.parse('{"cost":-0,"questions":-0,"context":{"used":-0,"max":-0}}'));
    for (const zero of [fields.cost, fields.questions, fields.context?.used, fields.context?.max]) {
      assert.ok(Object.is(zero, 0));
    }
  });

  it('reads ages', () => {
    const { stateAge, toolAge } = readDetails({ state: 'idle', state_age: 1.5, tool: 'bash', tool_age: 0 });
    assert.deepEqual([stateAge, toolAge], [1.5, 0]);
    assert.equal(readDetails({ state_age: null }).stateAge, null);
    for (const age of [-1, '1', {}, Number.POSITIVE_INFINITY, 1e300]) {
      refuses({ state_age: age }, 'state_age');
      refuses({ tool_age: age }, 'tool_age');
    }
  });
});

describe('applyDetails', () => {
  const apply = (node: Node, params: Record<string, unknown>, seconds: number) =>
    applyDetails(node, readDetails(params), seconds);

  it('sets what is new, and tells it', () => {
    const { node, changed } = apply(NODE, ALL, 1000);
    const since = { state_since: 1000, tool_since: 1000 };
    assert.deepEqual(node, { ...NODE, ...ALL, ...since });
    assert.deepEqual(changed, { ...ALL, ...since });
    assert.deepEqual(NODE, { id: 'a', machine: 'm', cwd: '/', port: 1, status: 'active', last_seen: 100 });
  });

  it('tells nothing of what is as it was', () => {
    const { node } = apply(NODE, ALL, 1000);
    const again = apply(node, { ...ALL, cost: 0.5 }, 2000);
    assert.deepEqual(again.changed, { cost: 0.5 });
    assert.deepEqual(apply(node, structuredClone(ALL), 2000).changed, {});
    assert.deepEqual(apply(node, { question: { ...QUESTION, title: 'Or?' } }, 2000).changed, {
      question: { ...QUESTION, title: 'Or?' },
    });
  });

  it('removes what is null, with its time', () => {
    const { node } = apply(NODE, ALL, 1000);
    const removed = apply(node, { state: null, tool: null, name: null, question: null }, 2000);
    assert.deepEqual(removed.changed, {
      state: null,
      state_since: null,
      tool: null,
      tool_since: null,
      name: null,
      question: null,
    });
    for (const field of Object.keys(removed.changed)) assert.ok(!(field in removed.node), field);
    assert.deepEqual(apply(NODE, { name: null, state: null, tool: null }, 1000).changed, {}, 'there was nothing');
  });

  it('says since when the state has lasted and the tool run', () => {
    const at = (params: Record<string, unknown>, node = NODE) => apply(node, params, 1000).changed;
    assert.deepEqual(at({ state: 'idle', state_age: 30.4 }), { state: 'idle', state_since: 969 });
    assert.deepEqual(at({ tool: 'bash', tool_age: 5 }), { tool: 'bash', tool_since: 995 });
    assert.deepEqual(at({ state: 'idle', state_age: 1e6 }), { state: 'idle', state_since: 0 }, 'not before the epoch');
    const working = { ...NODE, state: 'working', state_since: 500, tool: 'bash', tool_since: 600 } as const;
    assert.deepEqual(at({ state: 'working', tool: 'bash' }, working), {}, 'they go on');
    assert.deepEqual(at({ state: 'working', tool: 'bash', tool_age: 1 }, working), { tool_since: 999 }, 'begun anew');
    assert.deepEqual(at({ tool: 'read' }, working), { tool: 'read', tool_since: 1000 });
    assert.deepEqual(at({ state_age: 3, tool_age: 3 }, working), {}, 'an age alone says nothing');
  });

  it('tells just what differs: what is told, applied to the node before, gives the node after', () => {
    const text = fc.constantFrom('a', 'b', '');
    const params = fc.record(
      {
        name: fc.option(text),
        state: fc.option(fc.constantFrom('idle', 'working')),
        state_age: fc.option(fc.nat(50)),
        tool: fc.option(text),
        tool_age: fc.option(fc.nat(50)),
        context: fc.option(fc.record({ used: fc.nat(2), max: fc.nat(2) })),
        questions: fc.option(fc.nat(2)),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(params), (updates) => {
        let node = NODE;
        let seen: Record<string, unknown> = { ...NODE };
        for (const [i, update] of updates.entries()) {
          const { node: after, changed } = apply(node, update, 1000 + i);
          for (const [field, value] of Object.entries(changed)) {
            assert.notDeepEqual(seen[field] ?? null, value, `${field} is told though it is the same`);
          }
          seen = Object.fromEntries(Object.entries({ ...seen, ...changed }).filter(([, value]) => value !== null));
          assert.deepEqual(seen, after);
          assert.equal('state' in after, 'state_since' in after);
          assert.equal('tool' in after, 'tool_since' in after);
          node = after;
        }
      }),
    );
  });
});
