import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialError } from '../../src/proxy/error.ts';
import { Resolver } from '../../src/proxy/resolver.ts';
import { mockLookup } from './mock-lookup.ts';

test('asks the system, so that its hosts file counts', async () => {
  const addresses = await new Resolver().lookUp('localhost', 5000);
  assert.ok(addresses.length > 0);
  for (const address of addresses) assert.ok(['127.0.0.1', '::1'].includes(address), address);
});

test('all addresses, in the system’s order', async (t) => {
  mockLookup(t, async () => [
    { address: '2001:db8::5', family: 6 },
    { address: '10.0.0.5', family: 4 },
  ]);
  assert.deepEqual(await new Resolver().lookUp('laptop', 5000), ['2001:db8::5', '10.0.0.5']);
});

test('none where the name does not resolve, for whatever reason', async (t) => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ENODATA']) {
    mockLookup(t, () => Promise.reject(Object.assign(new Error(code), { code })));
    assert.deepEqual(await new Resolver().lookUp('nowhere', 5000), []);
  }
});

test('look-ups of one name are shared while one is under way', async (t) => {
  const mocked = mockLookup(t, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return [{ address: '10.0.0.5', family: 4 }];
  });
  const resolver = new Resolver();
  const all = await Promise.all(Array.from({ length: 100 }, () => resolver.lookUp('laptop', 5000)));
  for (const addresses of all) assert.deepEqual(addresses, ['10.0.0.5']);
  assert.equal(mocked.callCount(), 1);
  // Afterwards the answer may be another.
  await resolver.lookUp('laptop', 5000);
  assert.equal(mocked.callCount(), 2);
});

test('a slow one is told as such in time, whoever shares it, and no timer is left', async (t) => {
  let answer: (found: { address: string; family: number }[]) => void = () => {};
  const mocked = mockLookup(
    t,
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const resolver = new Resolver();
  // The time limit keeps no process alive; this does.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const slow = { name: 'DialError', message: 'Cannot resolve agent: timed out' };
  const patient = resolver.lookUp('slow', 5000);
  await assert.rejects(resolver.lookUp('slow', 20), slow);
  await assert.rejects(resolver.lookUp('slow', 0), slow);
  answer([{ address: '10.0.0.5', family: 4 }]);
  assert.deepEqual(await patient, ['10.0.0.5']);
  assert.equal(mocked.callCount(), 1);
});

test('too many names at once are refused at once, those under way are not', async (t) => {
  const answers: (() => void)[] = [];
  mockLookup(
    t,
    (name) =>
      new Promise((resolve) => {
        answers.push(() => resolve([{ address: name, family: 4 }]));
      }),
  );
  const resolver = new Resolver();
  const underWay = Array.from({ length: 32 }, (_, i) => resolver.lookUp(`name-${i}`, 5000));
  await assert.rejects(resolver.lookUp('one-more', 5000), (error: Error) => {
    assert.ok(error instanceof DialError);
    assert.equal(error.message, 'Cannot resolve agent: too many look-ups at once');
    return true;
  });
  const shared = resolver.lookUp('name-7', 5000);
  for (const answer of answers) answer();
  assert.deepEqual(await shared, ['name-7']);
  assert.equal((await Promise.all(underWay)).length, 32);
  const afterwards = resolver.lookUp('one-more', 5000);
  answers.at(-1)?.();
  assert.deepEqual(await afterwards, ['one-more']);
});
