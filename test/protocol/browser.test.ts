import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('../../src/protocol/', import.meta.url));

describe('the protocol in a browser', () => {
  it('needs nothing but what every browser has', async () => {
    const files = (await readdir(folder)).sort();
    assert.ok(files.length >= 5);
    const { outputFiles } = await build({
      stdin: { contents: files.map((name) => `export * from './${name}';`).join('\n'), resolveDir: folder },
      bundle: true,
      platform: 'browser',
      format: 'iife',
      globalName: 'protocol',
      write: false,
      logLevel: 'silent',
    });
    // Nothing of Node, and nothing of a document either: a service worker is a browser too.
    const browser = vm.createContext({ URL, TextEncoder, btoa });
    vm.runInContext((outputFiles[0] as { text: string }).text, browser);
    const said = vm.runInContext(
      `JSON.stringify([
        protocol.relayUrl('https://h/hypi/', 'a b', 'é'),
        protocol.backUrl('wss://h/ws', 'ticket'),
        protocol.deltaSubprotocols('é', { epoch: 'e', seq: 7 }),
        protocol.readResume(['hypi.resume.e.7']),
        protocol.successorOf('successor:b'),
      ])`,
      browser,
    );
    assert.deepEqual(JSON.parse(said), [
      'wss://h/hypi/ws/agent/a%20b?token=%C3%A9',
      'wss://h/ws/back/ticket',
      ['hypi.v1', 'hypi.delta.v1', 'hypi.resume.e.7', 'hypi.token.w6k'],
      { epoch: 'e', seq: 7 },
      'b',
    ]);
  });
});
