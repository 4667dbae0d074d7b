import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import type { HttpError } from '../../src/http/error.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { type AcceptLimits, accept } from '../../src/opening/accept.ts';
import { Connection, type ConnectionHandler } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { everySplit } from '../support/every-split.ts';

const LIMITS = { maxHeadBytes: 200, maxHeadFields: 3, headTimeoutMs: 100 };
const REQUEST = 'GET /ws?token=x HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\r\n';

/** Keeps what it was told. */
class Sink {
  requests: { head: RequestHead; rest: string }[] = [];
  refusals: HttpError[] = [];
  onRequest(head: RequestHead, rest: Buffer): void {
    this.requests.push({ head, rest: rest.toString() });
  }
  onRefused(error: HttpError): void {
    this.refusals.push(error);
  }
}

/** A connection without a socket: what accepting asks of it. */
class Stub {
  handler!: ConnectionHandler;
  deadlines: number[] = [];
  destroyed = false;
  paused = true;
  resume(): void {
    this.paused = false;
  }
  setDeadline(delayMs: number): void {
    this.deadlines.push(delayMs);
  }
  destroy(): void {
    this.destroyed = true;
  }
}

function start(limits: AcceptLimits = LIMITS, received?: Buffer) {
  const [stub, sink] = [new Stub(), new Sink()];
  accept(stub as unknown as Connection, limits, sink, received);
  return { stub, sink, accepting: stub.handler };
}

describe('accept', () => {
  it('hands on the request and what came behind it, at every split', () => {
    everySplit(Buffer.from(`${REQUEST}rest`), (chunks) => {
      const { sink, accepting } = start();
      let rest = '';
      for (const chunk of chunks) {
        // Once it has handed on, another is the connection's handler.
        if (sink.requests.length === 0) accepting.onData(chunk);
        else rest += chunk;
      }
      const [request] = sink.requests;
      assert.deepEqual([request?.head.method, request?.head.path, request?.head.query], ['GET', '/ws', 'token=x']);
      assert.equal(`${request?.rest}${rest}`, 'rest');
      assert.deepEqual(sink.refusals, []);
    });
  });

  it('takes what came on the connection before, whatever part of the request that is', () => {
    const bytes = Buffer.from(`${REQUEST}rest`);
    for (let length = 0; length <= bytes.length; length++) {
      const { stub, sink, accepting } = start(LIMITS, bytes.subarray(0, length));
      assert.equal(stub.paused, false);
      if (sink.requests.length === 0) accepting.onData(bytes.subarray(length));
      assert.equal(sink.requests.length, 1);
      assert.equal(sink.requests[0]?.head.path, '/ws');
    }
    assert.equal(start(LIMITS, Buffer.of(0x16)).sink.refusals[0]?.status, 400);
  });

  const refused: [what: string, head: string, status: number][] = [
    ['a head too large', `GET / HTTP/1.1\r\nHost: ${'a'.repeat(200)}`, 431],
    ['too many fields', 'GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n', 431],
    ['a bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 400],
    ['what is no request', 'hello\r\n\r\n', 400],
  ];
  for (const [what, head, status] of refused) {
    it(`refuses ${what} with ${status}, at every split`, () => {
      everySplit(Buffer.from(head), (chunks) => {
        const { sink, accepting } = start();
        for (const chunk of chunks) if (sink.refusals.length === 0) accepting.onData(chunk);
        assert.deepEqual(
          sink.refusals.map((error) => error.status),
          [status],
        );
        assert.deepEqual(sink.requests, []);
      });
    });
  }

  it('takes a head of just the size and the fields that are allowed', () => {
    const padding = 'x'.repeat(LIMITS.maxHeadBytes - REQUEST.length - 'A: \r\n'.length);
    const head = REQUEST.replace('\r\n\r\n', `\r\nA: ${padding}\r\n\r\n`);
    assert.equal(head.length, LIMITS.maxHeadBytes);
    const { sink, accepting } = start();
    accepting.onData(Buffer.from(head));
    assert.equal(sink.requests.length, 1);
  });

  it('sets one deadline, which no drip extends', () => {
    const { stub, sink, accepting } = start();
    for (const byte of REQUEST.slice(0, -1)) accepting.onData(Buffer.from(byte));
    assert.deepEqual(stub.deadlines, [100]);
    accepting.onDeadline();
    assert.deepEqual(
      sink.refusals.map((error) => error.status),
      [408],
    );
  });

  it('ends one that says nothing without a word', () => {
    const { stub, sink, accepting } = start();
    accepting.onDeadline();
    assert.equal(stub.destroyed, true);
    assert.deepEqual(sink.refusals, []);
  });

  for (const event of ['onEof', 'onShutdown'] as const) {
    it(`ends at ${event}, whatever has come`, () => {
      const { stub, accepting } = start();
      accepting.onData(Buffer.from('GET'));
      accepting[event]();
      assert.equal(stub.destroyed, true);
    });
  }

  it('needs nothing done when the connection drains or is gone', () => {
    const { stub, sink, accepting } = start();
    accepting.onDrain();
    accepting.onGone();
    assert.deepEqual([stub.destroyed, sink.requests, sink.refusals], [false, [], []]);
  });

  it('throws on what is no fault of the peer’s', () => {
    const stub = new Stub();
    accept(stub as unknown as Connection, LIMITS, {
      onRequest() {
        throw new TypeError('ours');
      },
      onRefused() {},
    });
    assert.throws(() => stub.handler.onData(Buffer.from(REQUEST)), { name: 'TypeError', message: 'ours' });
    const broken = {
      ...LIMITS,
      get maxHeadFields(): number {
        throw new TypeError('ours');
      },
    };
    const { sink, accepting: other } = start(broken);
    assert.throws(() => other.onData(Buffer.from(REQUEST)), TypeError);
    assert.deepEqual(sink.refusals, []);
  });

  it('does so on a real connection too', async (t) => {
    const deadlines = new Deadlines();
    const connections = new Connections(deadlines, (fault) => assert.fail(String(fault)));
    const server = net.createServer({ allowHalfOpen: true });
    const sink = new Sink();
    server.on('connection', (socket) => {
      const idle = { onData() {}, onEof() {}, onDrain() {}, onDeadline() {}, onGone() {}, onShutdown() {} };
      const connection = new Connection(socket, connections, idle);
      const limits = { ...LIMITS, headTimeoutMs: 500 };
      accept(connection, limits, {
        onRequest: (head, rest) => {
          sink.onRequest(head, rest);
          connection.handler = idle;
        },
        onRefused: (error) => {
          sink.onRefused(error);
          connection.destroy();
        },
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const open = () => net.connect(port, '127.0.0.1').on('error', () => {});
    const [whole, silent, dripping, leaving] = [open(), open(), open(), open()];
    t.after(() => {
      for (const socket of [whole, silent, dripping, leaving]) socket.destroy();
      for (const connection of connections) connection.destroy();
      server.close();
    });
    whole.write(`${REQUEST}rest`);
    dripping.write(REQUEST.slice(0, 20));
    leaving.end(REQUEST.slice(0, 20));
    const closed = (socket: net.Socket) => new Promise((resolve) => socket.resume().once('close', resolve));
    await Promise.all([silent, dripping, leaving].map(closed));
    assert.deepEqual(
      sink.requests.map(({ rest }) => rest),
      ['rest'],
    );
    assert.deepEqual(
      sink.refusals.map((error) => error.status),
      [408],
    );
    whole.destroy();
    for (const connection of connections) connection.destroy();
    await connections.empty();
    assert.equal(deadlines.size, 0);
  });
});
