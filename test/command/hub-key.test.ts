import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { hubKeyFile, readHubKey } from '../../src/command/hub-key.ts';

test('the key is made once, is for its owner alone, and another port has another', async (t) => {
  const home = await mkdtemp(path.join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const file = hubKeyFile(home, 31415);
  assert.equal(file, path.join(home, '.pi', 'hypivisor', 'hub-31415.key'));
  const key = await readHubKey(file);
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal(await readHubKey(file), key);
  assert.equal(await readFile(file, 'utf8'), `${key}\n`);
  assert.notEqual(await readHubKey(hubKeyFile(home, 31416)), key);
});

test('what is no key stays, and is told', async (t) => {
  const home = await mkdtemp(path.join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const file = path.join(home, 'x');
  await writeFile(file, 'something else');
  await assert.rejects(readHubKey(file), {
    message: `${file} holds no key of a hub: remove it, and a new one is made`,
  });
  assert.equal(await readFile(file, 'utf8'), 'something else');
  await assert.rejects(readHubKey(path.join(file, 'below')), { message: `${file}/below cannot be used (ENOTDIR)` });
});
