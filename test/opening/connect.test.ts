import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import {
  type Attempt,
  type ConnectFailure,
  ConnectState,
  type ConnectTarget,
  connect,
  type HandshakeRequest,
  type Opened,
  shakeHands,
} from '../../src/opening/connect.ts';
import { type Certificate, makeCertificate, whyNoCertificate } from '../support/certificate.ts';
import { fieldOf, upgradeResponse } from '../support/raw-peer.ts';
import { eventually, Loopback, RecordingHandler } from '../transport/loopback.ts';

const REQUEST: HandshakeRequest = {
  host: 'localhost',
  port: 1,
  path: '/ws',
  bearer: null,
  subprotocols: [],
  extensions: null,
};

/** Answers a request head; what it returns is written. Null says nothing. */
type Answer = (requestHead: string, socket: net.Socket) => string | Buffer | null;

const right: Answer = (head) => upgradeResponse(head);
const silent: Answer = () => null;

function answering(answer: Answer, onSocket: (socket: net.Socket) => void = () => {}): (socket: net.Socket) => void {
  return (socket) => {
    onSocket(socket);
    let head = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      const bytes = answer(head, socket);
      head = '';
      if (bytes !== null) socket.write(bytes);
    });
  };
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

function serve(t: TestContext, answer: Answer): Promise<number> {
  return listen(t, net.createServer({ allowHalfOpen: true }, answering(answer)));
}

/** Waits for the outcome, and that it comes once. */
class Outcome {
  readonly opened: Opened[] = [];
  readonly failures: ConnectFailure[] = [];

  onOpened(opened: Opened): void {
    this.opened.push(opened);
  }

  onFailed(failure: ConnectFailure): void {
    this.failures.push(failure);
  }

  async success(): Promise<Opened> {
    await this.#come();
    assert.deepEqual(this.failures, []);
    assert.equal(this.opened.length, 1);
    return this.opened[0] as Opened;
  }

  async failure(): Promise<ConnectFailure> {
    await this.#come();
    assert.equal(this.opened.length, 0);
    assert.equal(this.failures.length, 1);
    return this.failures[0] as ConnectFailure;
  }

  async #come(): Promise<void> {
    await eventually(() => assert.ok(this.opened.length + this.failures.length > 0, 'an outcome'));
    await delay(20);
  }
}

interface Trying {
  outcome: Outcome;
  attempt: Attempt;
  loopback: Loopback;
}

async function attemptAt(t: TestContext, target: Partial<ConnectTarget>, timeoutMs = 5000): Promise<Trying> {
  const loopback = await Loopback.open(t);
  const outcome = new Outcome();
  const whole = { host: '127.0.0.1', port: 1, tls: null, proxy: null, request: REQUEST, ...target };
  const attempt = connect(whole, loopback.connections, timeoutMs, outcome);
  return { outcome, attempt, loopback };
}

/** Nothing is left of an attempt that failed. */
async function nothingLeft({ loopback }: Trying): Promise<void> {
  await loopback.connections.empty();
  assert.equal(loopback.deadlines.size, 0);
  assert.deepEqual(loopback.faults, []);
}

async function exchange({ connection, rest }: Opened): Promise<void> {
  assert.equal(rest.length, 0);
  const handler = new RecordingHandler();
  connection.handler = handler;
  connection.resume();
  connection.write(Buffer.from('ping\r\n\r\n'));
  await eventually(() => assert.equal(handler.received, 'pong'));
}

/** The handshake, then whatever is said is answered. */
const echoing: Answer = (head) => (head.startsWith('GET ') ? upgradeResponse(head) : 'pong');

describe('a plain connection', () => {
  test('asks for what it was told to, and hands over an open connection', async (t) => {
    let said = '';
    const port = await serve(t, (head, socket) => {
      if (head.startsWith('GET ')) {
        said = head;
        return upgradeResponse(head, ['Sec-WebSocket-Protocol: hypi.v1']);
      }
      return echoing(head, socket);
    });
    const request = { ...REQUEST, port, path: '/ws?x=1', bearer: 'key', subprotocols: ['hypi.v1', 'other'] };
    const { outcome, loopback } = await attemptAt(t, { port, request });
    const opened = await outcome.success();
    assert.equal(opened.subprotocol, 'hypi.v1');
    assert.equal(opened.extensions, null);
    assert.equal(opened.connection.paused, true);
    assert.equal(loopback.deadlines.size, 0);
    assert.match(said, /^GET \/ws\?x=1 HTTP\/1\.1\r\n/);
    assert.equal(fieldOf(said, 'Host'), `localhost:${port}`);
    assert.equal(fieldOf(said, 'Authorization'), 'Bearer key');
    assert.equal(fieldOf(said, 'Sec-WebSocket-Protocol'), 'hypi.v1, other');
    await exchange(opened);
  });

  test('a name is looked up', async (t) => {
    const port = await serve(t, echoing);
    const { outcome } = await attemptAt(t, { host: 'localhost', port });
    await exchange(await outcome.success());
  });

  test('what comes behind the 101 is the rest', async (t) => {
    const port = await serve(t, (head) => `${upgradeResponse(head)}early`);
    const { outcome } = await attemptAt(t, { port });
    assert.equal((await outcome.success()).rest.toString(), 'early');
  });

  test('a request that cannot be written is refused before anything is opened', async (t) => {
    const loopback = await Loopback.open(t);
    const target = { host: '127.0.0.1', port: 1, tls: null, proxy: null };
    for (const wrong of [{ path: 'ws' }, { host: 'a b' }, { bearer: 'a\r\nb' }, { subprotocols: ['a b'] }]) {
      const request = { ...REQUEST, ...wrong };
      assert.throws(() => connect({ ...target, request }, loopback.connections, 1000, new Outcome()), TypeError);
    }
    assert.equal(loopback.connections.size, 0);
  });
});

describe('a failure says how far it came, and why', () => {
  async function fails(t: TestContext, target: Partial<ConnectTarget>, expected: Partial<ConnectFailure>) {
    const trying = await attemptAt(t, target, 600);
    const failure = await trying.outcome.failure();
    assert.deepEqual({ ...failure, ...expected }, failure);
    await nothingLeft(trying);
  }

  test('no program listens', async (t) => {
    const server = net.createServer();
    const port = await listen(t, server);
    await new Promise((resolve) => server.close(resolve));
    await fails(
      t,
      { port },
      { state: ConnectState.CONNECTING, reason: 'connection refused', code: 'ECONNREFUSED', status: null },
    );
  });

  test('a name that nobody has', async (t) => {
    const { state, reason } = await (await attemptAt(t, { host: 'nobody.invalid', port: 9 })).outcome.failure();
    assert.equal(state, ConnectState.CONNECTING);
    assert.match(reason, /^the name /);
  });

  test('another status', async (t) => {
    const port = await serve(t, () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    await fails(t, { port }, { state: ConnectState.HANDSHAKING, reason: 'status 401', code: null, status: 401 });
  });

  test('an answer that is wrong', async (t) => {
    const port = await serve(t, (head) => upgradeResponse(head).replace(/Accept: .*/, 'Accept: wrong'));
    await fails(t, { port }, { state: ConnectState.HANDSHAKING, reason: 'wrong Sec-WebSocket-Accept', status: null });
  });

  test('an answer that is no HTTP', async (t) => {
    const port = await serve(t, () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n');
    await fails(t, { port }, { state: ConnectState.HANDSHAKING, status: null });
  });

  test('an end', async (t) => {
    const port = await serve(t, (_head, socket) => {
      socket.end();
      return null;
    });
    await fails(t, { port }, { state: ConnectState.HANDSHAKING, reason: 'the connection ended' });
  });

  test('silence', async (t) => {
    const port = await serve(t, silent);
    await fails(t, { port }, { state: ConnectState.HANDSHAKING, reason: 'timed out' });
  });

  test('a reset at the accept is an end of what was accepted, whether or not we heard of the accept first', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.resetAndDestroy()),
    );
    for (let round = 0; round < 20; round++) {
      await fails(t, { port }, { state: ConnectState.HANDSHAKING, reason: 'the connection ended' });
    }
  });

  test('a shutdown', async (t) => {
    const port = await serve(t, silent);
    const trying = await attemptAt(t, { port });
    await delay(50);
    for (const connection of trying.loopback.connections) connection.shutDown();
    assert.equal((await trying.outcome.failure()).reason, 'shutting down');
    await nothingLeft(trying);
  });
});

describe('cancelling', () => {
  test('ends the attempt without calling the sink', async (t) => {
    const port = await serve(t, silent);
    for (const waitMs of [0, 50]) {
      const trying = await attemptAt(t, { port });
      if (waitMs > 0) await delay(waitMs);
      trying.attempt.cancel();
      trying.attempt.cancel();
      await nothingLeft(trying);
      assert.deepEqual([trying.outcome.opened, trying.outcome.failures], [[], []]);
    }
  });

  for (const moment of ['once the peer was asked', 'before the connection stands'] as const) {
    test(`resets the connection, so that no port of ours stays in use: ${moment}`, async (t) => {
      let isAsked = false;
      const ends: string[] = [];
      const port = await listen(
        t,
        net.createServer((socket) => {
          socket.once('data', () => {
            isAsked = true;
          });
          socket.on('end', () => ends.push('end'));
          socket.on('error', ({ code }: NodeJS.ErrnoException) => ends.push(String(code)));
          socket.on('close', () => ends.push('close'));
        }),
      );
      const trying = await attemptAt(t, { port });
      if (moment === 'once the peer was asked') await eventually(() => assert.ok(isAsked, 'it was asked'));
      trying.attempt.cancel();
      await eventually(() => assert.deepEqual(ends, ['ECONNRESET', 'close']));
      await nothingLeft(trying);
    });
  }

  test('does nothing once it is open', async (t) => {
    const port = await serve(t, echoing);
    const { outcome, attempt } = await attemptAt(t, { port });
    const opened = await outcome.success();
    attempt.cancel();
    await exchange(opened);
  });
});

describe('on a connection that somebody else opened', () => {
  test('the request goes out behind what is to stand before it, in one segment', async (t) => {
    const loopback = await Loopback.open(t);
    const outcome = new Outcome();
    const [connection, peer] = await loopback.accept();
    peer.read();
    const request = { ...REQUEST, path: '/' };
    shakeHands(connection, request, Buffer.from('HTTP/1.1 101 Yes\r\n\r\n'), 1000, outcome);
    await eventually(() => assert.ok(peer.text.endsWith('\r\n\r\n') && peer.text.includes('GET / HTTP/1.1'), 'asked'));
    assert.match(peer.text, /^HTTP\/1\.1 101 Yes\r\n\r\nGET \/ HTTP/);
    assert.equal(peer.received.length, 1);
    await peer.send(`${upgradeResponse(peer.text)}early`);
    const opened = await outcome.success();
    assert.equal(opened.connection, connection);
    assert.equal(opened.rest.toString(), 'early');
  });

  test('its end is a failure', async (t) => {
    const loopback = await Loopback.open(t);
    const outcome = new Outcome();
    const [connection, peer] = await loopback.accept();
    shakeHands(connection, REQUEST, Buffer.alloc(0), 1000, outcome);
    peer.socket.destroy();
    assert.equal((await outcome.failure()).state, ConnectState.HANDSHAKING);
  });
});

const whyNot = await whyNoCertificate();

describe('TLS', { skip: whyNot }, () => {
  let certificate: Certificate;
  let other: Certificate;
  before(async () => {
    certificate = await makeCertificate();
    other = await makeCertificate(['DNS:elsewhere.example']);
  });

  function serveTls(t: TestContext, answer: Answer, { key, cert }: Certificate, seen: string[] = []): Promise<number> {
    const server = tls.createServer(
      { key, cert, ALPNProtocols: ['h2', 'http/1.1'] },
      answering(answer, (socket) => {
        const { servername, alpnProtocol } = socket as tls.TLSSocket & { servername?: string | false };
        seen.push(`${servername || 'no name'} ${alpnProtocol}`);
      }),
    );
    server.on('tlsClientError', () => {});
    return listen(t, server);
  }

  for (const [host, name] of [
    ['localhost', 'localhost'],
    ['127.0.0.1', 'no name'],
  ] as const) {
    test(`to ${host}`, async (t) => {
      const seen: string[] = [];
      const port = await serveTls(t, echoing, certificate, seen);
      const { outcome } = await attemptAt(t, { host, port, tls: { ca: certificate.cert } });
      await exchange(await outcome.success());
      assert.deepEqual(seen, [`${name} http/1.1`]);
    });
  }

  test('much goes both ways, and ends as any connection', async (t) => {
    const much = Buffer.alloc(3_000_000, 'much');
    let received = 0;
    const server = tls.createServer({ ...certificate, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.once('data', (head) => {
        socket.write(upgradeResponse(head.toString('latin1')));
        socket.on('data', (chunk) => {
          received += chunk.length;
        });
        socket.on('end', () => socket.end(much));
      });
    });
    const port = await listen(t, server);
    const { outcome, loopback } = await attemptAt(t, { port, tls: { ca: certificate.cert } });
    const { connection } = await outcome.success();
    const handler = new RecordingHandler({ onEof: () => connection.end() });
    connection.handler = handler;
    connection.resume();
    connection.write(much);
    connection.end();
    await eventually(() => assert.ok(handler.events.includes('gone'), 'gone'));
    assert.equal(received, much.length);
    assert.equal(Buffer.concat(handler.chunks).length, much.length);
    await loopback.connections.empty();
  });

  for (const [what, ca, reason, code] of [
    ['nobody trusts', () => undefined, 'the certificate is self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['is for another name', () => other.cert, 'the certificate is for another name', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ] as const) {
    test(`a certificate that ${what} ends it before a word of the request`, async (t) => {
      let asked = false;
      const port = await serveTls(
        t,
        () => {
          asked = true;
          return null;
        },
        ca() === undefined ? certificate : other,
      );
      const trusted = ca();
      const trying = await attemptAt(t, { port, tls: trusted === undefined ? {} : { ca: trusted } });
      const failure = await trying.outcome.failure();
      assert.deepEqual(failure, { state: ConnectState.SECURING, reason, code, status: null });
      assert.equal(asked, false);
      await nothingLeft(trying);
    });
  }

  test('a peer that speaks no TLS', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
      }),
    );
    const trying = await attemptAt(t, { port, tls: {} });
    const { state, reason } = await trying.outcome.failure();
    assert.equal(state, ConnectState.SECURING);
    assert.match(reason, /TLS/);
    await nothingLeft(trying);
  });

  test('a peer that says nothing: in time', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.on('error', () => {})),
    );
    const trying = await attemptAt(t, { port, tls: {} }, 300);
    const { state, reason } = await trying.outcome.failure();
    assert.deepEqual([state, reason], [ConnectState.SECURING, 'timed out']);
    await nothingLeft(trying);
  });

  test('cancelled at every moment, nothing is left', async (t) => {
    const port = await serveTls(t, right, certificate);
    for (const waitMs of [0, 1, 2, 4, 8, 16]) {
      const trying = await attemptAt(t, { port, tls: { ca: certificate.cert } });
      await delay(waitMs);
      trying.attempt.cancel();
      for (const { connection } of trying.outcome.opened) connection.destroy();
      await nothingLeft(trying);
    }
  });
});

describe('an HTTP proxy', () => {
  /** A proxy as Node's own HTTP server makes one. */
  async function proxy(t: TestContext, requests: http.IncomingMessage[] = []): Promise<number> {
    const server = http.createServer();
    server.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
      requests.push(request);
      const [host, port] = (request.url ?? '').split(/:(?=\d+$)/);
      const onward = net.connect({ host: (host ?? '').replace('far.example', '127.0.0.1'), port: Number(port) });
      onward.once('connect', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      for (const end of [socket, onward]) {
        end.on('error', () => {});
        end.on('close', () => {
          socket.destroy();
          onward.destroy();
        });
      }
    });
    return listen(t, server);
  }

  test('opens a tunnel to the name, which the proxy looks up', async (t) => {
    const requests: http.IncomingMessage[] = [];
    const proxyPort = await proxy(t, requests);
    const port = await serve(t, echoing);
    const { outcome } = await attemptAt(t, {
      host: 'far.example',
      port,
      proxy: { host: '127.0.0.1', port: proxyPort, authorization: 'Basic dXNlcjpwYXNz' },
    });
    await exchange(await outcome.success());
    const [request] = requests;
    assert.equal(request?.url, `far.example:${port}`);
    assert.equal(request?.headers.host, `far.example:${port}`);
    assert.equal(request?.headers['proxy-authorization'], 'Basic dXNlcjpwYXNz');
    assert.equal(requests.length, 1);
  });

  test('TLS goes through the tunnel, end to end', { skip: whyNot }, async (t) => {
    const certificate = await makeCertificate(['DNS:far.example']);
    const proxyPort = await proxy(t);
    const port = await listen(t, tls.createServer({ ...certificate }, answering(echoing)));
    const { outcome } = await attemptAt(t, {
      host: 'far.example',
      port,
      tls: { ca: certificate.cert },
      proxy: { host: '127.0.0.1', port: proxyPort, authorization: null },
    });
    await exchange(await outcome.success());
  });

  test('its refusal is told with its status', async (t) => {
    const proxyPort = await serve(t, () => 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
    const trying = await attemptAt(t, { proxy: { host: '127.0.0.1', port: proxyPort, authorization: null } });
    assert.deepEqual(await trying.outcome.failure(), {
      state: ConnectState.TUNNELLING,
      reason: 'the proxy answered with status 407',
      code: null,
      status: 407,
    });
    await nothingLeft(trying);
  });

  test('one that says more than its answer is not believed', async (t) => {
    const proxyPort = await serve(t, (head) => `HTTP/1.1 200 OK\r\n\r\n${upgradeResponse(head)}`);
    const trying = await attemptAt(t, { proxy: { host: '127.0.0.1', port: proxyPort, authorization: null } });
    const { state, reason } = await trying.outcome.failure();
    assert.deepEqual([state, reason], [ConnectState.TUNNELLING, 'the proxy said more than its answer']);
    await nothingLeft(trying);
  });

  test('an IPv6 address stands in brackets', async (t) => {
    let said = '';
    const proxyPort = await serve(t, (head) => {
      said = head;
      return 'HTTP/1.1 502 Bad Gateway\r\n\r\n';
    });
    const proxied = { host: '127.0.0.1', port: proxyPort, authorization: null };
    await (await attemptAt(t, { host: '2001:db8::1', port: 80, proxy: proxied })).outcome.failure();
    assert.match(said, /^CONNECT \[2001:db8::1\]:80 HTTP\/1\.1\r\nHost: \[2001:db8::1\]:80\r\n/);
  });
});
