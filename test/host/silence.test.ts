import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LATE, Silence, within } from '../../src/host/silence.ts';
import { makeHome } from './home.ts';

const never = () => new Promise<never>(() => {});

test('an answer in time is passed on, and so is a rejection', async () => {
  assert.equal(await within(5000, Promise.resolve(7)), 7);
  await assert.rejects(within(5000, Promise.reject(new Error('x'))), { message: 'x' });
});

test('what takes too long is late; what comes of it later is nobody’s', async () => {
  assert.equal(await within(10, never()), LATE);
  const rejected = delay(50).then(() => Promise.reject(new Error('late')));
  assert.equal(await within(10, rejected), LATE);
  await delay(100);
});

test('a path that does not answer is silent, and all that is in it', async () => {
  const silence = new Silence(['/known']);
  assert.equal(await silence.waitFor('/quick', Promise.resolve('answer')), 'answer');
  assert.equal(silence.gaveUp, false);
  assert.equal(await silence.waitFor('/slow', never()), undefined);
  assert.deepEqual([silence.gaveUp, silence.met], [true, ['/slow']]);
  for (const path of ['/known', '/known/x', '/slow', '/slow/x/y']) assert.equal(silence.covers(path), true, path);
  for (const path of ['/', '/know', '/known2', '/slower', '/quick']) assert.equal(silence.covers(path), false, path);
});

test('no folder that answers is to blame', async (t) => {
  const { home } = await makeHome(t);
  await mkdir(join(home, 'a'));
  const silence = new Silence();
  for (const path of ['a', 'missing', 'missing/x', 'a\0']) await silence.blame(join(home, path));
  assert.deepEqual(silence.met, []);
  assert.equal(silence.gaveUp, true);
});
