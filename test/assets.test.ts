import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadAssets } from '../src/assets.ts';
import { parseRequestHead } from '../src/http/message.ts';

const ENTRY = {
  path: '/assets/a.js',
  type: 'text/javascript; charset=utf-8',
  immutable: true,
  etag: '"a"',
  files: { identity: 'assets/a.js', br: 'assets/a.js.br' },
};

async function build(t: TestContext, files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, 'assets'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

const request = (coding: string) =>
  parseRequestHead(Buffer.from(`GET /assets/a.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${coding}\r\n\r\n`), 100);

describe('loadAssets', () => {
  it('reads every file that the manifest names', async (t) => {
    const manifest = JSON.stringify({ assets: [ENTRY] });
    const directory = await build(t, { 'manifest.json': manifest, 'assets/a.js': 'let a', 'assets/a.js.br': 'br' });
    const assets = await loadAssets(directory);
    assert.equal(assets.get(request('identity'))?.body.toString(), 'let a');
    assert.equal(assets.get(request('br'))?.body.toString(), 'br');
    assert.equal(assets.get(request('br'))?.fields['Content-Type'], ENTRY.type);
  });

  it('has no files if no dashboard was built', async (t) => {
    assert.equal((await loadAssets(await build(t, {}))).has('/'), false);
    assert.equal((await loadAssets('/nowhere/at/all')).has('/'), false);
  });

  const broken: [what: string, files: Record<string, string>][] = [
    ['a manifest that is no JSON', { 'manifest.json': '{' }],
    ['a manifest without a list', { 'manifest.json': '{}' }],
    ['a file that is missing', { 'manifest.json': JSON.stringify({ assets: [ENTRY] }), 'assets/a.js': 'let a' }],
    [
      'an entity tag that is none',
      {
        'manifest.json': JSON.stringify({ assets: [{ ...ENTRY, etag: 'a' }] }),
        'assets/a.js': '',
        'assets/a.js.br': '',
      },
    ],
  ];
  for (const [what, files] of broken) {
    it(`throws at ${what}`, async (t) => {
      await assert.rejects(loadAssets(await build(t, files)));
    });
  }
});
