/** The dashboard's files, as the daemon serves them: to browsers, through a proxy's prefix, and to slow readers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { eventually } from '../support/measure.ts';
import { RawPeer, upgradeRequest } from '../support/raw-peer.ts';

const PATIENCE = { timeout: 60_000 };

const PAGE = '<!doctype html><title>A dashboard</title><script src="assets/app-1.js"></script>';
const SCRIPT = 'document.title = "on";\n'.repeat(500);
/** Does not compress, and is more than the kernel takes at once. */
const LARGE = randomBytes(12 * 1024 * 1024);

/** As the build writes it. */
async function buildDashboard(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  const files: [path: string, contents: string | Buffer][] = [
    ['index.html', PAGE],
    ['index.html.br', brotliCompressSync(PAGE)],
    ['index.html.gz', gzipSync(PAGE)],
    ['assets/app-1.js', SCRIPT],
    ['assets/app-1.js.br', brotliCompressSync(SCRIPT)],
    ['assets/app-1.js.gz', gzipSync(SCRIPT)],
    ['large.bin', LARGE],
    [
      'manifest.json',
      JSON.stringify({
        assets: [
          {
            path: '/',
            type: 'text/html; charset=utf-8',
            immutable: false,
            etag: '"page"',
            files: { identity: 'index.html', br: 'index.html.br', gzip: 'index.html.gz' },
          },
          {
            path: '/assets/app-1.js',
            type: 'text/javascript; charset=utf-8',
            immutable: true,
            etag: '"app"',
            files: { identity: 'assets/app-1.js', br: 'assets/app-1.js.br', gzip: 'assets/app-1.js.gz' },
          },
          {
            path: '/large.bin',
            type: 'application/octet-stream',
            immutable: false,
            etag: '"large"',
            files: { identity: 'large.bin' },
          },
        ],
      }),
    ],
  ];
  for (const [path, contents] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), contents);
  }
  return directory;
}

async function embed(t: TestContext, options: HypivisorOptions) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', ...options });
  const faults: string[] = [];
  hypivisor.on('fault', (error) => faults.push((error as Error).message));
  t.after(() => hypivisor.close());
  const { port } = await hypivisor.listen();
  return { hypivisor, port, faults, origin: `http://127.0.0.1:${port}` };
}

describe('the dashboard', PATIENCE, () => {
  let dashboardDirectory: string;
  before(async () => {
    dashboardDirectory = await buildDashboard();
  });
  after(() => rm(dashboardDirectory, { recursive: true }));

  test('is there for a browser, compressed, kept, and asked for again', async (t) => {
    const { origin } = await embed(t, { dashboardDirectory });
    const page = await fetch(`${origin}/`, { headers: { 'Accept-Encoding': 'gzip, deflate, br, zstd' } });
    assert.equal(await page.text(), PAGE);
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(page.headers.get('content-encoding'), 'br');
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self';/);
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
    assert.ok(Math.abs(Date.parse(page.headers.get('date') ?? '') - Date.now()) < 60_000);
    const script = await fetch(`${origin}/assets/app-1.js`, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(await script.text(), SCRIPT);
    assert.equal(script.headers.get('content-encoding'), 'gzip');
    assert.equal(script.headers.get('cache-control'), 'public, max-age=31536000, immutable');

    const headers = { 'Accept-Encoding': 'br', 'If-None-Match': page.headers.get('etag') as string };
    const again = await fetch(`${origin}/`, { headers });
    assert.deepEqual([again.status, await again.text()], [304, '']);
    assert.equal(again.headers.get('etag'), headers['If-None-Match']);
    const head = await fetch(`${origin}/`, { method: 'HEAD', headers: { 'Accept-Encoding': 'identity' } });
    assert.equal(head.headers.get('content-length'), String(PAGE.length));
    assert.equal(await head.text(), '');
  });

  test('is read, and nothing else: 405, 404, and no path leads out of its table', async (t) => {
    const { origin, port } = await embed(t, { dashboardDirectory });
    const post = await fetch(`${origin}/`, { method: 'POST' });
    assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
    const options = await fetch(`${origin}/assets/app-1.js`, { method: 'OPTIONS' });
    assert.deepEqual([options.status, options.headers.get('allow')], [200, 'GET, HEAD, OPTIONS']);
    const hidden = [
      '/index.html',
      '/manifest.json',
      '/assets/',
      '/assets/app-1.js.br',
      '/assets/app-2.js',
      '/%2e%2e/x',
    ];
    for (const path of hidden) assert.equal((await fetch(origin + path)).status, 404, path);
    for (const path of ['/../package.json', '/assets/../../package.json', '/./', '//']) {
      const peer = await RawPeer.connect(port);
      peer.socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      assert.match((await peer.rest()).toString(), /^HTTP\/1\.1 404 /, path);
    }
    const upgrade = await RawPeer.connect(port);
    upgrade.socket.write(upgradeRequest('/assets/app-1.js'));
    assert.match((await upgrade.rest()).toString(), /^HTTP\/1\.1 404 /);
  });

  test('is open with a token set, and without it no answer reveals a missing path', async (t) => {
    const { origin } = await embed(t, { dashboardDirectory, token: 'secret' });
    for (const path of ['/', '/?token=wrong', '/assets/app-1.js', '/healthz'])
      assert.equal((await fetch(origin + path)).status, 200, path);
    assert.equal((await fetch(`${origin}/assets/app-2.js`)).status, 401);
    assert.equal((await fetch(`${origin}/assets/app-2.js?token=secret`)).status, 404);
  });

  test('is there under a prefix that a reverse proxy takes off', async (t) => {
    const { port } = await embed(t, { dashboardDirectory });
    const proxy = http.createServer((request, response) => {
      const path = request.url?.replace(/^\/hypi/, '');
      http.get({ port, path, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode as number, answer.headers);
        answer.pipe(response);
      });
    });
    t.after(() => proxy.close());
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const base = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/hypi/`;
    const page = await (await fetch(base)).text();
    assert.equal(page, PAGE);
    const src = /src="(.*?)"/.exec(page)?.[1] as string;
    assert.equal(await (await fetch(new URL(src, base))).text(), SCRIPT);
  });

  test('arrives whole at a slow reader, and holds up no other client meanwhile', async (t) => {
    const { origin, port } = await embed(t, { dashboardDirectory });
    const slow = await RawPeer.connect(port);
    slow.socket.pause();
    slow.socket.write('GET /large.bin HTTP/1.0\r\n\r\n');
    await delay(50);
    assert.equal((await fetch(`${origin}/healthz`)).status, 200);
    const [one, other] = await Promise.all([1, 2].map(async () => (await fetch(`${origin}/large.bin`)).arrayBuffer()));
    assert.ok(LARGE.equals(Buffer.from(one as ArrayBuffer)) && LARGE.equals(Buffer.from(other as ArrayBuffer)));
    slow.socket.resume();
    const bytes = await slow.rest();
    assert.ok(LARGE.equals(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)));
  });

  test('arrives whole whatever the linger, though others push in', async (t) => {
    const limits = { lingerTimeoutMs: 50, maxConnections: 4 };
    const { port, hypivisor } = await embed(t, { dashboardDirectory, limits });
    const slow = await RawPeer.connect(port);
    slow.socket.pause();
    slow.socket.write('GET /large.bin HTTP/1.0\r\n\r\n');
    await delay(300);
    const silent: RawPeer[] = [];
    for (let i = 0; i < 20; i++) silent.push(await RawPeer.connect(port));
    await eventually(() => assert.equal(silent.filter(({ ended }) => ended).length, 20 - 3));
    assert.equal(hypivisor.counters.connections, 4);
    slow.socket.resume();
    const bytes = await slow.rest();
    assert.ok(LARGE.equals(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)));
    for (const { socket } of silent) socket.destroy();
  });

  test('is cut off from a reader that takes nothing of it', async (t) => {
    const { port, hypivisor } = await embed(t, { dashboardDirectory, limits: { stallTimeoutMs: 300 } });
    const stalled = await RawPeer.connect(port);
    stalled.socket.pause();
    stalled.socket.write('GET /large.bin HTTP/1.0\r\n\r\n');
    await eventually(() => assert.equal(hypivisor.counters.connections, 1));
    await eventually(() => assert.equal(hypivisor.counters.connections, 0));
    stalled.socket.destroy();
  });

  test('leaves nothing behind when its reader leaves in the middle', async (t) => {
    const { hypivisor, port, faults } = await embed(t, { dashboardDirectory });
    for (let i = 0; i < 5; i++) {
      const peer = await RawPeer.connect(port);
      peer.socket.write('GET /large.bin HTTP/1.0\r\n\r\n');
      await once(peer.socket, 'data');
      peer.socket.resetAndDestroy();
    }
    await eventually(() => assert.equal(hypivisor.counters.connections, 0));
    assert.deepEqual(faults, []);
  });
});

describe('without a dashboard', PATIENCE, () => {
  test('the page is a line of text, and the registry works in spite of a broken build', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    t.after(() => rm(directory, { recursive: true }));
    for (const [manifest, faults] of [
      [null, 0],
      ['{', 1],
      ['{"assets":[{"path":"/","files":{"identity":"missing"}}]}', 1],
    ] as const) {
      if (manifest !== null) await writeFile(join(directory, 'manifest.json'), manifest);
      const daemon = await embed(t, { dashboardDirectory: directory });
      assert.match(await (await fetch(`${daemon.origin}/`)).text(), /^hypivisor \d+\.\d+\.\d+: [^\n]+\n$/);
      assert.equal(daemon.faults.length, faults);
      for (const fault of daemon.faults) assert.match(fault, /^the dashboard cannot be served: /);
      (await RawPeer.upgrade(daemon.port, '/ws')).socket.destroy();
    }
  });
});
