import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Resolver } from '../../src/proxy/resolver.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { mockLookup } from './mock-lookup.ts';

/** A resolver whose time limits are heard: they keep no process alive by themselves. */
function resolverOf(t: TestContext): { resolver: Resolver; deadlines: Deadlines } {
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const deadlines = new Deadlines();
  return { resolver: new Resolver(deadlines), deadlines };
}

function lookUp(resolver: Resolver, name: string, timeoutMs = 5000): Promise<readonly string[] | null> {
  return new Promise((resolve) => {
    resolver.lookUp(name, timeoutMs, resolve);
  });
}

test('asks the system, so that its hosts file counts', async (t) => {
  const addresses = await lookUp(resolverOf(t).resolver, 'localhost');
  assert.ok(addresses !== null && addresses.length > 0);
  for (const address of addresses) assert.ok(['127.0.0.1', '::1'].includes(address), address);
});

test('all addresses, in the system’s order', async (t) => {
  mockLookup(t, async () => [
    { address: '2001:db8::5', family: 6 },
    { address: '10.0.0.5', family: 4 },
  ]);
  assert.deepEqual(await lookUp(resolverOf(t).resolver, 'laptop'), ['2001:db8::5', '10.0.0.5']);
});

test('none if the name does not resolve, for whatever reason', async (t) => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ENODATA']) {
    mockLookup(t, () => Promise.reject(Object.assign(new Error(code), { code })));
    assert.deepEqual(await lookUp(resolverOf(t).resolver, 'nowhere'), []);
  }
});

test('look-ups of one name are shared while one is under way', async (t) => {
  const mocked = mockLookup(t, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return [{ address: '10.0.0.5', family: 4 }];
  });
  const { resolver } = resolverOf(t);
  const all = await Promise.all(Array.from({ length: 100 }, () => lookUp(resolver, 'laptop')));
  for (const addresses of all) assert.deepEqual(addresses, ['10.0.0.5']);
  assert.equal(mocked.callCount(), 1);
  // Afterwards the answer may be another.
  await lookUp(resolver, 'laptop');
  assert.equal(mocked.callCount(), 2);
});

test('a slow look-up is reported as such in time to all that share it, and no deadline is left', async (t) => {
  let answer: (found: { address: string; family: number }[]) => void = () => {};
  const mocked = mockLookup(
    t,
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const { resolver, deadlines } = resolverOf(t);
  const patient = lookUp(resolver, 'slow');
  assert.equal(await lookUp(resolver, 'slow', 20), null);
  assert.equal(await lookUp(resolver, 'slow', 0), null);
  answer([{ address: '10.0.0.5', family: 4 }]);
  assert.deepEqual(await patient, ['10.0.0.5']);
  assert.equal(mocked.callCount(), 1);
  assert.equal(deadlines.size, 0);
});

test('a cancelled look-up calls nothing', async (t) => {
  mockLookup(t, async () => [{ address: '10.0.0.5', family: 4 }]);
  const { resolver, deadlines } = resolverOf(t);
  const waiting = resolver.lookUp('laptop', 5000, () => assert.fail('told'));
  waiting.cancel();
  assert.deepEqual(await lookUp(resolver, 'laptop'), ['10.0.0.5']);
  assert.equal(deadlines.size, 0);
});

test('too many names at once are given up at once, those under way are not', async (t) => {
  const answers: (() => void)[] = [];
  mockLookup(
    t,
    (name) =>
      new Promise((resolve) => {
        answers.push(() => resolve([{ address: name, family: 4 }]));
      }),
  );
  const { resolver } = resolverOf(t);
  const underWay = Array.from({ length: 32 }, (_, i) => lookUp(resolver, `name-${i}`));
  assert.equal(await lookUp(resolver, 'one-more'), null);
  assert.equal(answers.length, 32);
  const shared = lookUp(resolver, 'name-7');
  for (const answer of answers) answer();
  assert.deepEqual(await shared, ['name-7']);
  assert.equal((await Promise.all(underWay)).length, 32);
  const afterwards = lookUp(resolver, 'one-more');
  answers.at(-1)?.();
  assert.deepEqual(await afterwards, ['one-more']);
});
