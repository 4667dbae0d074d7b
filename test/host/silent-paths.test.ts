import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LATE, SilentPaths, within } from '../../src/host/silent-paths.ts';
import { makeHome } from './home.ts';

const never = () => new Promise<never>(() => {});

test('an answer in time is passed on, and so is a rejection', async () => {
  assert.equal(await within(5000, Promise.resolve(7)), 7);
  await assert.rejects(within(5000, Promise.reject(new Error('x'))), { message: 'x' });
});

test('a call that takes too long is late; its later result is ignored', async () => {
  assert.equal(await within(10, never()), LATE);
  const rejected = delay(50).then(() => Promise.reject(new Error('late')));
  assert.equal(await within(10, rejected), LATE);
  await delay(100);
});

test('a path that does not answer is silent, and all that is in it', async () => {
  const silentPaths = new SilentPaths(['/known']);
  assert.equal(await silentPaths.waitFor('/quick', Promise.resolve('answer')), 'answer');
  assert.equal(silentPaths.gaveUp, false);
  assert.equal(await silentPaths.waitFor('/slow', never()), undefined);
  assert.deepEqual([silentPaths.gaveUp, silentPaths.met], [true, ['/slow']]);
  for (const path of ['/known', '/known/x', '/slow', '/slow/x/y']) assert.equal(silentPaths.covers(path), true, path);
  for (const path of ['/', '/know', '/known2', '/slower', '/quick'])
    assert.equal(silentPaths.covers(path), false, path);
});

test('no folder that answers is to blame', async (t) => {
  const { home } = await makeHome(t);
  await mkdir(join(home, 'a'));
  const silentPaths = new SilentPaths();
  for (const path of ['a', 'missing', 'missing/x', 'a\0']) await silentPaths.findSilentFolder(join(home, path));
  assert.deepEqual(silentPaths.met, []);
  assert.equal(silentPaths.gaveUp, true);
});
