import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Opened } from '../../src/opening/connect.ts';
import { type AgentRequest, Dial } from '../../src/proxy/dial.ts';
import { DialError } from '../../src/proxy/error.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { HAS_IPV6 } from '../support/ipv6.ts';
import { fieldOf, upgradeResponse } from '../support/raw-peer.ts';
import { eventually, Loopback, RecordingHandler } from '../transport/loopback.ts';

const LIMITS = { maxHeadBytes: 2048, maxHeadFields: 20 };
const REQUEST = { machine: 'laptop', subprotocols: [], extensions: null, dialKey: null };

/** Answers a request head; what it returns is written, whatever it is. Null says nothing. */
type Answer = (requestHead: string, socket: net.Socket) => string | Buffer | null;

/** A server on an address of its own that answers the opening handshake as the test says. */
async function agent(t: TestContext, answer: Answer, host = '127.0.0.1', port = 0): Promise<net.AddressInfo> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    let head = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      const bytes = answer(head, socket);
      if (bytes !== null) socket.write(bytes);
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address() as net.AddressInfo;
}

/** What is accepted and never answered; what is sent to it, nobody reads. */
const silent: Answer = () => null;
const right: Answer = (head) => upgradeResponse(head);

interface Dialling {
  addresses?: string[];
  port: number;
  request?: Partial<AgentRequest>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** What a relay makes of it: the leg, or the sentence as an error. Where the signal aborts, the dial is cancelled. */
function dial(connections: Connections, dialling: Dialling): Promise<Opened> {
  const { addresses = ['127.0.0.1'], port, request = {}, timeoutMs = 5000, signal } = dialling;
  return new Promise((resolve, reject) => {
    const sink = {
      onReached: resolve,
      onUnreachable: (sentence: string) => reject(new DialError(sentence)),
    };
    const dial = new Dial(addresses, { ...REQUEST, port, ...request }, connections, LIMITS, timeoutMs, sink);
    signal?.addEventListener('abort', () => {
      dial.cancel();
      setTimeout(() => reject(new DialError('cancelled')), 50);
    });
  });
}

async function dialFor(t: TestContext, dialling: Dialling): Promise<{ leg: Opened; loopback: Loopback }> {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  try {
    return { leg: await dial(connections, dialling), loopback };
  } catch (error) {
    await connections.empty();
    assert.equal(loopback.deadlines.size, 0);
    assert.deepEqual(loopback.faults, []);
    throw error;
  }
}

async function rejects(t: TestContext, dialling: Dialling, sentence: string): Promise<void> {
  await assert.rejects(dialFor(t, dialling), (error: Error) => {
    assert.ok(error instanceof DialError, error.stack);
    assert.equal(error.message, sentence);
    return true;
  });
}

describe('an agent that answers as it must', () => {
  test('is asked for / with a fresh key, and nothing of the client but subprotocols and extensions', async (t) => {
    const heads: string[] = [];
    const { port } = await agent(t, (head) => {
      heads.push(head);
      return upgradeResponse(head, ['Sec-WebSocket-Protocol: b', 'Sec-WebSocket-Extensions: permessage-deflate']);
    });
    const request = {
      subprotocols: ['a', 'b'],
      extensions: 'permessage-deflate; client_max_window_bits',
      dialKey: 'c2VjcmV0',
    };
    for (let round = 0; round < 2; round++) {
      const { leg } = await dialFor(t, { port, request });
      assert.equal(leg.subprotocol, 'b');
      assert.equal(leg.extensions, 'permessage-deflate');
      assert.equal(leg.rest.length, 0);
    }
    const [first = '', second = ''] = heads;
    const keyOf = (head: string) => fieldOf(head, 'Sec-WebSocket-Key') ?? '';
    assert.equal(Buffer.from(keyOf(first), 'base64').length, 16);
    assert.notEqual(keyOf(first), keyOf(second));
    assert.deepEqual(
      first.split('\r\n').filter((line) => !line.startsWith('Sec-WebSocket-Key')),
      [
        'GET / HTTP/1.1',
        `Host: laptop:${port}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Protocol: a, b',
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
        'Authorization: Bearer c2VjcmV0',
        '',
        '',
      ],
    );
  });

  for (const [machine, host] of [
    ['laptop.example', 'laptop.example'],
    ['10.0.0.5', '10.0.0.5'],
    ['::1', '127.0.0.1'],
    ['[::1]', '[::1]'],
    ['name:80', '127.0.0.1'],
    ['no host name', '127.0.0.1'],
    ['Büro', '127.0.0.1'],
  ]) {
    test(`machine ${machine}: the Host is ${host}`, async (t) => {
      let said: string | null = null;
      const { port } = await agent(t, (head) => {
        said = fieldOf(head, 'Host');
        return upgradeResponse(head);
      });
      await dialFor(t, { port, request: { machine: machine as string } });
      assert.equal(said, `${host}:${port}`);
    });
  }

  test('its connection is handed over open, paused and without a deadline', async (t) => {
    const { port } = await agent(t, (head, socket) => {
      setTimeout(() => socket.write('later'), 20);
      return upgradeResponse(head);
    });
    const { leg, loopback } = await dialFor(t, { port, timeoutMs: 500 });
    assert.equal(leg.connection.paused, true);
    assert.equal(loopback.deadlines.size, 0);
    await delay(700);
    assert.equal(leg.connection.gone, false);
    const handler = new RecordingHandler();
    leg.connection.handler = handler;
    leg.connection.resume();
    await eventually(() => assert.equal(handler.received, 'later'));
  });

  test('what it sends behind its 101 is the rest, and is not read over by what comes later', async (t) => {
    const early = randomBytes(3000);
    const late = randomBytes(200_000);
    const { port } = await agent(t, (head) => Buffer.concat([Buffer.from(upgradeResponse(head)), early, late]));
    const { leg } = await dialFor(t, { port });
    const handler = new RecordingHandler();
    leg.connection.handler = handler;
    leg.connection.resume();
    await eventually(() => assert.equal(leg.rest.length + Buffer.concat(handler.chunks).length, 203_000));
    assert.equal(Buffer.compare(Buffer.concat([leg.rest, ...handler.chunks]), Buffer.concat([early, late])), 0);
  });

  test('its 101 may come byte by byte', async (t) => {
    const { port } = await agent(t, (head, socket) => {
      const bytes = Buffer.from(upgradeResponse(head));
      let at = 0;
      const drip = () => {
        socket.write(bytes.subarray(at, ++at));
        if (at < bytes.length) setImmediate(drip);
      };
      drip();
      return null;
    });
    const { leg } = await dialFor(t, { port });
    assert.equal(leg.rest.length, 0);
  });
});

describe('an agent that answers wrongly', () => {
  const swap =
    (from: string | RegExp, to: string): Answer =>
    (head) =>
      upgradeResponse(head).replace(from, to);
  const ends =
    (lastWords: (head: string) => string): Answer =>
    (head, socket) => {
      socket.end(lastWords(head));
      return null;
    };
  const resets: Answer = (_head, socket) => {
    socket.resetAndDestroy();
    return null;
  };
  const wrong: [what: string, answer: Answer, reason: string][] = [
    ['another status', () => 'HTTP/1.1 404 x-101\r\n\r\n', 'status 404'],
    ['200 with all the fields of a 101', swap('101 Switching Protocols', '200 OK'), 'status 200'],
    ['a redirect', () => 'HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n', 'status 302'],
    ['an interim response first', (head) => `HTTP/1.1 100 Continue\r\n\r\n${upgradeResponse(head)}`, 'status 100'],
    ['HTTP/1.0', swap('HTTP/1.1', 'HTTP/1.0'), 'not HTTP/1.1'],
    ['no Upgrade', swap('Upgrade: websocket\r\n', ''), 'wrong Upgrade'],
    ['another Upgrade', swap('Upgrade: websocket', 'Upgrade: h2c'), 'wrong Upgrade'],
    ['no Connection', swap('Connection: Upgrade\r\n', ''), 'wrong Connection'],
    ['another Connection', swap('Connection: Upgrade', 'Connection: close'), 'wrong Connection'],
    ['no Accept', swap(/Sec-WebSocket-Accept.*\r\n/, ''), 'wrong Sec-WebSocket-Accept'],
    [
      'the Accept of another key',
      () => upgradeResponse('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'),
      'wrong Sec-WebSocket-Accept',
    ],
    ['two Accepts', swap(/(Sec-WebSocket-Accept.*\r\n)/, '$1$1'), 'wrong Sec-WebSocket-Accept'],
    [
      'a subprotocol that was not offered',
      (head) => upgradeResponse(head, ['Sec-WebSocket-Protocol: c']),
      'a subprotocol that was not offered',
    ],
    [
      'an extension that was not offered',
      (head) => upgradeResponse(head, ['Sec-WebSocket-Extensions: x-mux']),
      'an extension that was not offered',
    ],
    ['a body', (head) => upgradeResponse(head, ['Content-Length: 5']), 'a body was announced'],
    ['a bare LF', swap('\r\nUpgrade', '\nUpgrade'), 'Bare LF in the head'],
    ['no HTTP', () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n', ''],
    ['nothing but an end', ends(() => ''), 'the connection ended'],
    ['half a head and an end', ends((head) => upgradeResponse(head).slice(0, 60)), 'the connection ended'],
    ['a reset', resets, 'the connection ended'],
    [
      'a head without an end',
      () => 'HTTP/1.1 101 Switching Protocols\r\nX: '.padEnd(3000, 'x'),
      'The head is too large',
    ],
    ['a line without an end', () => `HTTP/1.1 101 ${'H'.repeat(1_000_000)}`, 'The head is too large'],
    ['too many fields', (head) => upgradeResponse(head, Array(30).fill('X: y')), ''],
  ];
  for (const [what, answer, reason] of wrong) {
    test(what, async (t) => {
      const { port } = await agent(t, answer);
      await assert.rejects(
        dialFor(t, { port, request: { subprotocols: ['a'], extensions: 'x-a' } }),
        (error: Error) => {
          assert.ok(error instanceof DialError, error.stack);
          assert.ok(error.message.startsWith('Agent handshake failed: '), error.message);
          if (reason !== '') assert.equal(error.message, `Agent handshake failed: ${reason}`);
          return true;
        },
      );
    });
  }

  for (const status of [401, 403]) {
    test(`${status} to the key that it gave itself: it is another`, async (t) => {
      const { port } = await agent(t, () => `HTTP/1.1 ${status} No\r\n\r\n`);
      const sentence = `Agent handshake failed: status ${status}`;
      await rejects(t, { port, request: { dialKey: 'key' } }, `${sentence}, so another agent is there`);
      await rejects(t, { port }, sentence);
    });
  }

  test('nothing at all: in time', async (t) => {
    const { port } = await agent(t, silent);
    await rejects(t, { port, timeoutMs: 400 }, 'Agent handshake failed: timed out');
  });

  test('a drip that never ends: in time all the same', async (t) => {
    const { port } = await agent(t, (_head, socket) => {
      socket.write('HTTP/1.1 101 ');
      const timer = setInterval(() => socket.write('H'), 5);
      socket.on('close', () => clearInterval(timer));
      return null;
    });
    await rejects(t, { port, timeoutMs: 400 }, 'Agent handshake failed: timed out');
  });
});

describe('several addresses', () => {
  test('in turn, until one answers', async (t) => {
    const { port } = await agent(t, right, '127.0.0.3');
    const { leg } = await dialFor(t, { addresses: ['127.0.0.1', '127.0.0.2', '127.0.0.3'], port });
    assert.equal(leg.connection.remoteAddress, '127.0.0.3');
  });

  test('one that says nothing uses up its share and no more', async (t) => {
    const { port } = await agent(t, silent, '127.0.0.1');
    await agent(t, right, '127.0.0.2', port);
    const before = performance.now();
    const { leg } = await dialFor(t, { addresses: ['127.0.0.1', '127.0.0.2'], port, timeoutMs: 1000 });
    assert.equal(leg.connection.remoteAddress, '127.0.0.2');
    assert.ok(performance.now() - before >= 500, 'the first had half of the time');
  });

  test('all fail: a wrong answer says more than none', async (t) => {
    const { port } = await agent(t, () => 'HTTP/1.1 500 No\r\n\r\n', '127.0.0.2');
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    await rejects(t, { addresses, port }, 'Agent handshake failed: status 500');
  });

  test('all fail: silence says more than a refusal, and the first of equals is reported', async (t) => {
    const full = await fullBacklog(t);
    if (full === null) return t.skip('the system accepts beyond the backlog');
    await rejects(
      t,
      { addresses: ['127.0.0.1', '127.0.0.2'], port: full, timeoutMs: 400 },
      'Cannot reach agent: timed out',
    );
    const addresses = ['255.255.255.255', '127.0.0.2'];
    await rejects(t, { addresses, port: full }, 'Cannot reach agent: no route');
  });

  test('an address that accepts and resets is reported as that, with any failure of the next address', async (t) => {
    const server = net.createServer((socket) => socket.resetAndDestroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    for (let round = 0; round < 20; round++) {
      const addresses = ['127.0.0.1', HAS_IPV6 ? '::1' : '127.0.0.2'];
      await rejects(t, { addresses, port }, 'Agent handshake failed: the connection ended');
    }
  });

  test('none accepts', async (t) => {
    const { port } = await agent(t, right, '127.0.0.9');
    const addresses = HAS_IPV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
    await rejects(t, { addresses, port }, 'Cannot reach agent: connection refused');
  });

  test('no time left', async (t) => {
    const { port } = await agent(t, right);
    await rejects(t, { port, timeoutMs: 0 }, 'Cannot reach agent: no time left');
  });
});

describe('an address that cannot be reached', () => {
  test('gives the reason, without revealing more than it must', async (t) => {
    await rejects(t, { addresses: ['255.255.255.255'], port: 9 }, 'Cannot reach agent: no route');
    // Without its zone nobody knows on which link.
    await assert.rejects(dialFor(t, { addresses: ['fe80::1'], port: 9 }), /^DialError: Cannot reach agent: /);
  });

  test('an address that never accepts: in time', async (t) => {
    const full = await fullBacklog(t);
    if (full === null) return t.skip('the system accepts beyond the backlog');
    await rejects(t, { port: full, timeoutMs: 120 }, 'Cannot reach agent: timed out');
  });
});

describe('a client that leaves', () => {
  test('ends the dial: no further address is tried, and nothing stays open', async (t) => {
    const leaving = new AbortController();
    let tried = 0;
    const { port } = await agent(t, () => {
      tried++;
      leaving.abort();
      return null;
    });
    await agent(t, right, '127.0.0.2', port);
    const dialling = { addresses: ['127.0.0.1', '127.0.0.2'], port, signal: leaving.signal };
    await rejects(t, dialling, 'cancelled');
    assert.equal(tried, 1);
  });

  test('after it is done changes nothing', async (t) => {
    const leaving = new AbortController();
    const { port } = await agent(t, right);
    const { leg } = await dialFor(t, { port, signal: leaving.signal });
    leaving.abort();
    await delay(20);
    assert.equal(leg.connection.gone, false);
  });
});

test('the daemon going ends the dial', async (t) => {
  const loopback = await Loopback.open(t);
  const { port } = await agent(t, () => {
    for (const connection of loopback.connections) connection.shutDown();
    return null;
  });
  await assert.rejects(dial(loopback.connections, { port }), /Agent handshake failed: shutting down/);
  await loopback.connections.empty();
});

/** A port whose queue of connections to accept is full, so that a further one waits; null where none can be made so. */
async function fullBacklog(t: TestContext): Promise<number | null> {
  if (process.platform !== 'linux') return null;
  // A bound socket that listens with the shortest queue and whose process never accepts.
  const { spawn } = await import('node:child_process');
  const script = `
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  const [chunk] = await once(child.stdout, 'data');
  const port = Number(chunk);
  for (let count = 0; count < 8; count++) {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await Promise.race([once(socket, 'connect'), delay(500)]);
    if (socket.connecting) return port;
  }
  return null;
}
