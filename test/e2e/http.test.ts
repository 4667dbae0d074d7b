/** Every plain answer of the daemon, byte for byte, and that nothing is ever answered after it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { clientFrame, fieldOf, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';

interface Answer {
  status: number;
  head: string;
  body: string;
}

const PATIENCE = { timeout: 30_000 };
const HOST = 'Host: 127.0.0.1';

/** A request without a body. */
function request(line: string, ...fields: string[]): string {
  return [line, HOST, ...fields, '', ''].join('\r\n');
}

/** Sends bytes, and reads all that comes until the daemon ends the connection: it has to be one whole answer. */
async function ask(port: number, bytes: string | Buffer): Promise<Answer> {
  const peer = await RawPeer.connect(port);
  peer.socket.write(bytes);
  return answerOf(await peer.rest());
}

function answerOf(bytes: Buffer): Answer {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n') + 4;
  const head = text.slice(0, end);
  const body = text.slice(end);
  const status = Number(/^HTTP\/1\.1 (\d{3}) [A-Z]/.exec(head)?.[1]);
  assert.ok(status >= 200, `an answer, not ${JSON.stringify(text.slice(0, 200))}`);
  if (body !== '') assert.equal(fieldOf(head, 'Content-Type'), 'text/plain; charset=utf-8');
  const date = fieldOf(head, 'Date') ?? '';
  assert.equal(new Date(date).toUTCString(), date);
  assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000);
  assert.match(fieldOf(head, 'Connection') ?? '', /(^|, )close$/);
  assert.equal(fieldOf(head, 'Cache-Control'), 'no-store');
  assert.equal(fieldOf(head, 'X-Content-Type-Options'), 'nosniff');
  assert.ok(body === '' || Number(fieldOf(head, 'Content-Length')) === body.length);
  return { status, head, body };
}

async function embed(t: TestContext, options: HypivisorOptions) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', ...options });
  t.after(() => hypivisor.close());
  const { port } = await hypivisor.listen();
  return { hypivisor, port };
}

describe('without a token', PATIENCE, () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());

  test('101: the accept of RFC 6455, section 1.3, and no more than it takes', async () => {
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest('/ws'));
    const lines = (await peer.head()).trim().split('\r\n');
    assert.deepEqual(lines, [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ]);
    assert.equal((await peer.frame()).opcode, TEXT);
    peer.socket.destroy();
  });

  test('101: a browser may name more than one option and any case', async () => {
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(
      upgradeRequest('/ws', ['Origin: http://localhost:3000', 'Sec-WebSocket-Extensions: permessage-deflate'])
        .replace('Connection: Upgrade', 'connection: keep-alive, UPGRADE')
        .replace('Upgrade: websocket', 'UPGRADE:WebSocket'),
    );
    const head = await peer.head();
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.equal(fieldOf(head, 'Sec-WebSocket-Extensions'), null);
    peer.socket.destroy();
  });

  test('200: without a dashboard the page is one line; the health check; HEAD of both', async (t) => {
    const { port } = await embed(t, { dashboardDirectory: null });
    const page = await ask(port, request('GET / HTTP/1.1'));
    assert.equal(page.status, 200);
    assert.match(page.body, /^hypivisor \d+\.\d+\.\d+: [^\n]+\n$/);
    const health = await ask(port, request('GET /healthz HTTP/1.1'));
    assert.deepEqual([health.status, health.body], [200, 'ok\n']);
    for (const [path, body] of [
      ['/', page.body],
      ['/healthz', health.body],
    ] as const) {
      const head = await ask(port, request(`HEAD ${path} HTTP/1.1`));
      assert.deepEqual([head.status, head.body], [200, '']);
      assert.equal(fieldOf(head.head, 'Content-Length'), String(body.length));
      assert.equal(fieldOf(head.head, 'Content-Type'), 'text/plain; charset=utf-8');
    }
    assert.equal(await (await fetch(`${daemon.origin}/healthz`)).text(), 'ok\n');
  });

  test('200: the health checks of load balancers', async () => {
    for (const bytes of [
      'GET /healthz HTTP/1.0\r\n\r\n',
      'HEAD /healthz HTTP/1.0\r\n\r\n',
      'GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      request('GET /healthz?probe=1 HTTP/1.1', 'Connection: keep-alive'),
      request('GET http://127.0.0.1/healthz HTTP/1.1'),
      request('GET /healthz HTTP/1.1', 'Origin: https://example.org'),
      'OPTIONS / HTTP/1.0\r\n\r\n',
      'OPTIONS * HTTP/1.0\r\n\r\n',
      request('OPTIONS / HTTP/1.1'),
      request('OPTIONS /healthz HTTP/1.1', 'Content-Length: 0'),
      request('OPTIONS * HTTP/1.1'),
    ]) {
      const { status, head, body } = await ask(daemon.port, bytes);
      assert.equal(status, 200, bytes);
      if (!bytes.startsWith('OPTIONS')) continue;
      assert.deepEqual(
        [fieldOf(head, 'Allow'), fieldOf(head, 'Content-Length'), body],
        ['GET, HEAD, OPTIONS', '0', ''],
      );
    }
    // They ask every few seconds, and there is nothing to tell: the log has the one line of what was refused after them.
    await ask(daemon.port, request('GET /after-the-health-checks HTTP/1.1'));
    await eventually(() => assert.equal(daemon.stderr.match(/refused/g)?.length, 1));
  });

  test('400: heads that two readers could understand in two ways', async () => {
    for (const bytes of [
      'GET /healthz HTTP/1.1\nHost: a\n\n',
      'GET /healthz HTTP/1.1\r\n\r\n',
      '\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /healthz\r\n\r\n',
      'GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n',
      'GET healthz HTTP/1.1\r\nHost: a\r\n\r\n',
      request('GET /healthz HTTP/1.1', HOST),
      request('GET /healthz HTTP/1.1', 'X: a\r\n folded'),
      request('GET /healthz HTTP/1.1', 'X : a'),
      request('GET /healthz HTTP/1.1', ': a'),
      request('GET /healthz HTTP/1.1', 'X: \0'),
      request('GET /healthz HTTP/1.1', 'X: \x01'),
      request('GET /healthz HTTP/1.1', 'Content-Length: 1'),
      request('GET /healthz HTTP/1.1', 'Transfer-Encoding: chunked'),
      request('POST / HTTP/1.1', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
      request('POST / HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
      request('GET * HTTP/1.1'),
      // What a browser sends where it expects https.
      Buffer.concat([Buffer.from('16030101', 'hex'), Buffer.alloc(8), randomBytes(64)]),
    ]) {
      assert.equal((await ask(daemon.port, bytes)).status, 400, bytes.toString('latin1'));
    }
  });

  test('400: TLS on a plain port is answered at its first byte, and told in the log once', async (t) => {
    const own = await Daemon.start();
    t.after(() => own.stop());
    for (let i = 0; i < 3; i++) {
      const client = tls.connect({ port: own.port, host: '127.0.0.1', rejectUnauthorized: false });
      const [error] = await once(client, 'error');
      assert.match((error as NodeJS.ErrnoException).code ?? '', /^ERR_SSL_/);
    }
    const { status, body } = await ask(own.port, Buffer.of(0x16));
    assert.deepEqual([status, body], [400, 'This port speaks plain HTTP, not TLS: use http:// and ws://\n']);
    // The log is in order: what was refused after them is told, and they once.
    await ask(own.port, request('GET /after-tls HTTP/1.1'));
    await eventually(() => assert.match(own.stderr, /refused.*404/));
    assert.equal(own.stderr.match(/speaks TLS/g)?.length, 1);
    assert.equal(own.stderr.match(/request refused/g)?.length, 1);
  });

  test('400: input that cannot be a request is answered at its first wrong byte', async () => {
    for (const bytes of [
      '\0',
      '\r\n',
      '\x80',
      'SSH-2.0-OpenSSH_9.2\r\n',
      '*1\r\n',
      'GET /healthz\r',
      'GET / HTTP/1.1\r\n ',
    ]) {
      assert.equal((await ask(daemon.port, Buffer.from(bytes, 'latin1'))).status, 400, JSON.stringify(bytes));
    }
  });

  test('101: an empty offer of subprotocols is none', async () => {
    for (const fields of [['Sec-WebSocket-Protocol:'], ['Sec-WebSocket-Protocol: ,', 'Sec-WebSocket-Extensions:']]) {
      const peer = await RawPeer.connect(daemon.port);
      peer.socket.write(upgradeRequest('/ws', fields));
      const head = await peer.head();
      assert.match(head, /^HTTP\/1\.1 101 /);
      assert.equal(fieldOf(head, 'Sec-WebSocket-Protocol'), null);
      peer.socket.destroy();
    }
  });

  test('400: an upgrade that is no valid opening handshake', async () => {
    const valid = upgradeRequest('/ws');
    for (const bytes of [
      valid.replace('HTTP/1.1', 'HTTP/1.0'),
      valid.replace('Connection: Upgrade', 'Connection: close'),
      valid.replace(/Sec-WebSocket-Key: .*\r\n/, ''),
      valid.replace(/Sec-WebSocket-Key: .*\r\n/, 'Sec-WebSocket-Key: c2hvcnQ=\r\n'),
      valid.replace(/(Sec-WebSocket-Key: .*\r\n)/, '$1$1'),
      upgradeRequest('/ws', ['Sec-WebSocket-Version: 13']),
      upgradeRequest('/ws', ['Content-Length: 1']),
      upgradeRequest('/ws', ['Sec-WebSocket-Protocol: a, a']),
      upgradeRequest('/ws', ['Sec-WebSocket-Protocol: a b']),
      upgradeRequest('/ws', ['Sec-WebSocket-Extensions: ;']),
    ]) {
      assert.equal((await ask(daemon.port, bytes)).status, 400, bytes);
    }
    for (const bytes of [upgradeRequest('/ws/agent/'), request('GET /ws/agent/ HTTP/1.1')]) {
      const { status, body } = await ask(daemon.port, bytes);
      assert.deepEqual([status, body], [400, 'Missing node ID\n']);
    }
  });

  test('403: a page that is not ours, with the flag that would let it in', async () => {
    for (const [origin, host, advice] of [
      ['https://evil.example', '127.0.0.1', '--allow-origin https://evil.example'],
      ['http://localhost.evil.example', '127.0.0.1', '--allow-origin http://localhost.evil.example'],
      ['http://evil.example:31415', 'evil.example:31415', '--allow-host evil.example'],
      ['null', '127.0.0.1', 'HYPI_TOKEN'],
      ['file://', '127.0.0.1', 'HYPI_TOKEN'],
    ] as const) {
      for (const path of ['/ws', '/ws/agent/x', '/ws/agent/', '/nothing']) {
        const bytes = upgradeRequest(path, [`Origin: ${origin}`]).replace(HOST, `Host: ${host}`);
        const { status, body } = await ask(daemon.port, bytes);
        assert.equal(status, 403, `${path} ${origin}`);
        assert.ok(body.includes(advice), body);
      }
    }
    const two = upgradeRequest('/ws', ['Origin: http://localhost', 'Origin: http://localhost']);
    assert.equal((await ask(daemon.port, two)).status, 403);
    for (const [origin, host] of [
      ['http://localhost:5173', '127.0.0.1'],
      ['http://localhost/', '127.0.0.1'],
      ['http://[::1]:1', 'localhost'],
      ['http://192.0.2.7:8080', '192.0.2.7:31415'],
    ] as const) {
      const peer = await RawPeer.connect(daemon.port);
      peer.socket.write(upgradeRequest('/ws', [`Origin: ${origin}`]).replace(HOST, `Host: ${host}`));
      assert.match(await peer.head(), /^HTTP\/1\.1 101 /, origin);
      peer.socket.destroy();
    }
  });

  test('404: any other path, with an upgrade or without', async () => {
    for (const path of ['/ws/', '/ws/other', '/wss', '/nothing', '//', '/healthz/', '/%77s', '/ws/agent']) {
      for (const bytes of [request(`GET ${path} HTTP/1.1`), upgradeRequest(path), request(`POST ${path} HTTP/1.1`)]) {
        const { status, body } = await ask(daemon.port, bytes);
        assert.deepEqual([status, body], [404, 'Not Found\n'], bytes);
      }
    }
    // Where there is something, but no WebSocket.
    for (const path of ['/', '/healthz']) assert.equal((await ask(daemon.port, upgradeRequest(path))).status, 404);
    const head = await ask(daemon.port, request('HEAD /nothing HTTP/1.1'));
    assert.deepEqual([head.status, head.body], [404, '']);
    assert.equal(fieldOf(head.head, 'Content-Length'), '10');
  });

  test('405: with the methods that are allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'get', 'M-SEARCH']) {
      for (const path of ['/', '/healthz']) {
        if (method === 'OPTIONS') continue;
        const { status, head } = await ask(daemon.port, request(`${method} ${path} HTTP/1.1`));
        assert.deepEqual([status, fieldOf(head, 'Allow')], [405, 'GET, HEAD, OPTIONS'], method);
      }
      for (const path of ['/ws', '/ws/agent/x']) {
        const { status, head } = await ask(daemon.port, request(`${method} ${path} HTTP/1.1`));
        assert.deepEqual([status, fieldOf(head, 'Allow')], [405, 'GET'], method);
      }
    }
  });

  test('426: a WebSocket path without an upgrade, or with another version', async () => {
    for (const bytes of [
      request('GET /ws HTTP/1.1'),
      request('GET /ws/agent/x HTTP/1.1'),
      request('GET /ws HTTP/1.1', 'Upgrade: h2c', 'Connection: Upgrade'),
      upgradeRequest('/ws').replace('Version: 13', 'Version: 8'),
      upgradeRequest('/ws').replace('Sec-WebSocket-Version: 13\r\n', ''),
    ]) {
      const { status, head } = await ask(daemon.port, bytes);
      assert.equal(status, 426, bytes);
      assert.equal(fieldOf(head, 'Upgrade'), 'websocket');
      assert.equal(fieldOf(head, 'Sec-WebSocket-Version'), '13');
      assert.equal(fieldOf(head, 'Connection'), 'Upgrade, close');
    }
  });

  test('431: both sides of 16 KiB and of 100 fields', async () => {
    const health = 'GET /healthz HTTP/1.1';
    const room = 16 * 1024 - request(health, 'X: ').length;
    assert.equal((await ask(daemon.port, request(health, `X: ${'x'.repeat(room)}`))).status, 200);
    assert.equal((await ask(daemon.port, request(health, `X: ${'x'.repeat(room + 1)}`))).status, 431);
    assert.equal((await ask(daemon.port, 'x'.repeat(100_000))).status, 431);
    const fields = Array.from({ length: 100 }, (_, i) => `X-${i}: y`);
    assert.equal((await ask(daemon.port, request(health, ...fields.slice(1)))).status, 200);
    assert.equal((await ask(daemon.port, request(health, ...fields))).status, 431);
  });

  test('one connection, one answer: bytes behind a request are never answered', async () => {
    const second = request('GET /healthz HTTP/1.1');
    for (const [first, status] of [
      [second, 200],
      [request('GET /healthz HTTP/1.1', 'Connection: keep-alive'), 200],
      [request('POST / HTTP/1.1', `Content-Length: ${second.length}`), 405],
      [request('GET /nothing HTTP/1.1'), 404],
      [upgradeRequest('/nothing'), 404],
      [upgradeRequest('/ws', ['Origin: https://evil.example']), 403],
      ['broken\r\n\r\n', 400],
    ] as const) {
      // `ask` finds whatever comes beyond the announced length.
      assert.equal((await ask(daemon.port, first + second)).status, status);
      const peer = await RawPeer.connect(daemon.port, { allowHalfOpen: true });
      peer.socket.write(first);
      const answer = answerOf(await peer.rest());
      assert.equal(answer.status, status);
      peer.socket.write(second);
      await delay(20);
      assert.equal(answerOf(await peer.rest()).body, answer.body);
      peer.socket.destroy();
    }
  });

  test('the answer arrives although the client has not sent all it wanted', async () => {
    const peer = await RawPeer.connect(daemon.port, { allowHalfOpen: true });
    peer.socket.write(request('POST / HTTP/1.1', `Content-Length: ${4 * 1024 * 1024}`));
    peer.socket.end(Buffer.alloc(4 * 1024 * 1024));
    assert.equal(answerOf(await peer.rest()).status, 405);
    await peer.closed;
  });
});

describe('with a token', PATIENCE, () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ env: { HYPI_TOKEN: 'secret' } });
  });
  after(() => daemon.stop());

  test('401 before anything else is told; only pages without secrets are open', async () => {
    for (const path of ['/', '/healthz']) assert.equal((await fetch(`${daemon.origin}${path}`)).status, 200);
    const refused = ['/ws', '/ws/', '/ws/agent/', '/ws/agent/x', '/nothing'].flatMap((path) => [
      request(`GET ${path} HTTP/1.1`),
      request(`POST ${path} HTTP/1.1`),
      request(`GET ${path}?token=wrong HTTP/1.1`),
      upgradeRequest(path),
      upgradeRequest(path, ['Origin: https://evil.example']),
    ]);
    for (const bytes of [...refused, upgradeRequest('/'), upgradeRequest('/healthz')]) {
      const { status, head, body } = await ask(daemon.port, bytes);
      assert.deepEqual([status, body], [401, 'Unauthorized\n'], bytes);
      assert.equal(fieldOf(head, 'WWW-Authenticate'), 'Bearer');
    }
  });

  test('with the right one: the usual answers, so that a page can test its token by fetch', async () => {
    for (const [path, plain, upgrade] of [
      ['/nothing', 404, 404],
      ['/ws/', 404, 404],
      ['/ws/agent/', 400, 400],
      ['/ws', 426, null],
    ] as const) {
      assert.equal((await ask(daemon.port, request(`GET ${path}?token=secret HTTP/1.1`))).status, plain);
      if (upgrade !== null)
        assert.equal((await ask(daemon.port, upgradeRequest(`${path}?token=secret`))).status, upgrade);
    }
    assert.equal((await fetch(`${daemon.origin}/ws?token=secret`)).status, 426);
    // A token makes the Origin irrelevant: reverse proxies and tunnels keep working.
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest('/ws?token=secret', ['Origin: https://hypi.example']));
    assert.match(await peer.head(), /^HTTP\/1\.1 101 /);
    peer.socket.destroy();
    assert.ok(!daemon.stderr.includes('secret'));
  });
});

describe('at the limits', PATIENCE, () => {
  test('408: a head that does not end, dripped or not; a silent connection is just closed', async (t) => {
    const { port } = await embed(t, { limits: { headTimeoutMs: 1000 } });
    const stalled = await RawPeer.connect(port);
    stalled.socket.write('GET /healthz HTTP/1.1\r\n');
    const dripping = await RawPeer.connect(port);
    const drip = setInterval(() => dripping.socket.write('x'), 10);
    t.after(() => clearInterval(drip));
    const silent = await RawPeer.connect(port);
    // Whole in time, and then in no hurry any more.
    const slow = await RawPeer.connect(port);
    const request = upgradeRequest('/ws');
    slow.socket.write(request.slice(0, 50));
    await delay(50);
    slow.socket.write(request.slice(50));
    assert.match(await slow.head(), /^HTTP\/1\.1 101 /);
    for (const peer of [stalled, dripping]) assert.equal(answerOf(await peer.rest()).status, 408);
    assert.equal((await silent.rest()).length, 0);
    slow.socket.write(clientFrame(TEXT, '{"id":1,"method":"ping"}'));
    while ((await slow.json()).id !== 1);
    slow.socket.destroy();
  });

  test('503: no room; and unauthorised connections are closed first, the oldest before the others', async (t) => {
    const { hypivisor, port } = await embed(t, { limits: { maxConnections: 3 } });
    const silent: RawPeer[] = [];
    for (let i = 0; i < 3; i++) silent.push(await RawPeer.connect(port));
    await eventually(() => assert.equal(hypivisor.counters.connections, 3));
    const clients: Client[] = [];
    for (const peer of silent) {
      clients.push(await Client.open(`ws://127.0.0.1:${port}/ws`));
      await peer.closed;
    }
    const { status, body } = await ask(port, request('GET /healthz HTTP/1.1'));
    assert.deepEqual([status, body], [503, 'Too many connections\n']);
    assert.equal((await (clients[0] as Client).call('ping')).result.status, 'healthy');
    await (clients[0] as Client).close();
    await eventually(async () => assert.equal((await ask(port, request('GET /healthz HTTP/1.1'))).status, 200));
    for (const client of clients) client.terminate();
  });

  test('a client that does not end its side after the answer is closed in time', async (t) => {
    const { hypivisor, port } = await embed(t, { dashboardDirectory: null, limits: { lingerTimeoutMs: 100 } });
    const peer = await RawPeer.connect(port, { allowHalfOpen: true });
    peer.socket.write(request('GET / HTTP/1.1'));
    assert.equal(answerOf(await peer.rest()).status, 200);
    await eventually(() => assert.equal(hypivisor.counters.connections, 0));
    peer.socket.destroy();
  });
});
