import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Close } from '../../src/frame/close.ts';
import { encodeText } from '../../src/frame/encode.ts';
import type { DataOpcode } from '../../src/frame/message.ts';
import { CloseCode, Opcode, type Side } from '../../src/frame/vocabulary.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from '../../src/websocket/websocket.ts';
import { MASKING_KEY, type RawFrame, type ReadFrame, rawFrame, readFrames } from '../support/raw-frame.ts';
import { CLOSE, closePayload, PING, PONG, TEXT } from '../support/raw-peer.ts';
import { eventually, Loopback, type Peer } from '../transport/loopback.ts';

const SIDES: Side[] = ['server', 'client'];

/** Times so long that none passes in a test that is not about it. */
const LIMITS: WebSocketLimits = {
  maxMessageBytes: 64 * 1024,
  maxFragments: 8,
  pingIntervalMs: 60_000,
  frameTimeoutMs: 60_000,
  closingTimeoutMs: 60_000,
  maxPingsPerSecond: 100,
};

type Acts = Partial<WebSocketHandler>;

/** Notes what it is told; what it should do besides is set from outside. */
class Recorder implements WebSocketHandler {
  readonly events: string[] = [];
  readonly #acts: Acts;
  onShutdown?: () => void;

  constructor(acts: Acts) {
    this.#acts = acts;
    if (acts.onShutdown !== undefined) this.onShutdown = acts.onShutdown.bind(acts);
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.events.push(opcode === Opcode.TEXT ? payload.toString() : `binary ${payload.toString('hex')}`);
    this.#acts.onMessage?.(payload, opcode);
  }

  onClosed(close: Close): void {
    this.events.push(`closed ${close.closeCode} ${close.closeReason}`.trimEnd());
    this.#acts.onClosed?.(close);
  }

  onDrain(): void {
    this.events.push('drain');
    this.#acts.onDrain?.();
  }

  onBlocked(): void {
    this.events.push('blocked');
    this.#acts.onBlocked?.();
  }

  onTimer(): void {
    this.events.push('timer');
    this.#acts.onTimer?.();
  }

  onPing(): void {
    this.events.push('ping');
    this.#acts.onPing?.();
  }
}

interface Open {
  loopback: Loopback;
  webSocket: WebSocketConnection;
  connection: Connection;
  peer: Peer;
  events: string[];
}

interface Options {
  side?: Side;
  limits?: Partial<WebSocketLimits>;
  rest?: Buffer;
  acts?: Acts;
  /** Runs before anything is received. */
  before?: (webSocket: WebSocketConnection) => void;
}

async function open(t: TestContext, { side = 'server', limits, rest, acts = {}, before }: Options = {}): Promise<Open> {
  const loopback = await Loopback.open(t);
  const [connection, peer] = side === 'server' ? await loopback.accept() : await loopback.dial();
  // As after `connect`.
  if (side === 'client') connection.pause();
  const handler = new Recorder(acts);
  const webSocket = new WebSocketConnection(connection, side, { ...LIMITS, ...limits }, handler);
  before?.(webSocket);
  webSocket.start(rest);
  return { loopback, webSocket, connection, peer, events: handler.events };
}

/** Frames as the peer of that side sends them. */
function toward(side: Side, ...frames: RawFrame[]): Buffer {
  const masked = side === 'server' ? { maskingKey: MASKING_KEY } : {};
  return Buffer.concat(frames.map((frame) => rawFrame({ ...masked, ...frame })));
}

const text = (payload: string): RawFrame => ({ opcode: TEXT, payload });
const close = (closeCode: number, closeReason = ''): RawFrame => ({
  opcode: CLOSE,
  payload: closePayload(closeCode, closeReason),
});

/** What the peer has got: opcode and payload of each frame. */
function got(peer: Peer): [opcode: number, payload: string][] {
  return readFrames(peer.bytes).map(({ opcode, payload }: ReadFrame) => [opcode, payload.toString('latin1')]);
}

/** The last frame that the peer has got is that close, and the end of the connection follows it. */
async function isTold(peer: Peer, closeCode: number, closeReason: string): Promise<void> {
  await eventually(() => {
    assert.deepEqual(got(peer).at(-1), [CLOSE, closePayload(closeCode, closeReason).toString('latin1')]);
  });
}

/** Writes until the kernel takes no more. */
function fill(webSocket: WebSocketConnection): void {
  while (!webSocket.blocked) webSocket.sendMessage(Buffer.alloc(256 * 1024), Opcode.BINARY);
}

for (const side of SIDES) {
  describe(`a WebSocket as a ${side}`, () => {
    test('receives messages, in the rest first, and sends its own', async (t) => {
      const rest = toward(side, text('early'), { opcode: 2, payload: Buffer.from([0, 255]) });
      const { webSocket, peer, events } = await open(t, {
        side,
        rest,
        before: (opened) => opened.sendText('before the start'),
      });
      assert.deepEqual(events, ['early', 'binary 00ff'], 'received during the call');
      assert.equal(webSocket.isOpen, true);
      webSocket.sendText('Grüße');
      webSocket.sendMessage(Buffer.from('x'), Opcode.BINARY);
      webSocket.sendFrames(encodeText(side, 'encoded elsewhere'));
      peer.read();
      await peer.send(toward(side, text('late'), { opcode: PING, payload: 'p' }));
      await eventually(() => assert.deepEqual(events, ['early', 'binary 00ff', 'late', 'ping']));
      await eventually(() => {
        assert.deepEqual(got(peer), [
          [TEXT, 'before the start'],
          [TEXT, Buffer.from('Grüße').toString('latin1')],
          [2, 'x'],
          [TEXT, 'encoded elsewhere'],
          [PONG, 'p'],
        ]);
      });
      for (const { masked } of readFrames(peer.bytes)) assert.equal(masked, side === 'client');
    });

    test('answers all that came in one chunk in one write', async (t) => {
      const acts: Acts = { onMessage: (payload) => opened.webSocket.sendText(`${payload}!`) };
      const opened = await open(t, { side, acts });
      const { peer, connection } = opened;
      peer.read();
      await peer.send(toward(side, ...['a', 'b', 'c'].map(text)));
      await eventually(() =>
        assert.deepEqual(
          got(peer).map(([, payload]) => payload),
          ['a!', 'b!', 'c!'],
        ),
      );
      assert.equal(peer.received.length, 1);
      assert.equal(connection.batch, null);
    });

    test('closes: nothing follows it, the answer ends it, and then the end of the connection', async (t) => {
      const { webSocket, connection, peer, events, loopback } = await open(t, { side });
      webSocket.close(4000, 'enough');
      webSocket.close(1000);
      webSocket.sendText('late');
      webSocket.sendFrames(encodeText(side, 'late'));
      webSocket.pause();
      assert.equal(webSocket.isOpen, false);
      peer.read();
      await peer.send(toward(side, text('on its way'), close(4000)));
      await eventually(() => assert.deepEqual(events, ['closed 4000']));
      await isTold(peer, 4000, 'enough');
      assert.equal(got(peer).length, 1);
      if (side === 'server') await eventually(() => assert.deepEqual(peer.events, ['end']));
      else assert.deepEqual(peer.events, [], 'the client waits for the server to end');
      peer.socket.end();
      await eventually(() => assert.equal(connection.gone, true));
      assert.deepEqual(events, ['closed 4000'], 'told once');
      assert.deepEqual(loopback.faults, []);
    });

    test('answers a close with its code, and ends', async (t) => {
      const { connection, peer, events, webSocket } = await open(t, { side });
      peer.read();
      await peer.send(toward(side, close(1001, 'bye'), text('late')));
      await isTold(peer, 1001, '');
      assert.deepEqual(events, ['closed 1001 bye']);
      webSocket.sendText('late');
      peer.socket.end();
      await eventually(() => assert.equal(connection.gone, true));
      assert.equal(got(peer).length, 1);
    });

    test('reports 1006 at the end of a connection without a close, whichever side ends it', async (t) => {
      for (const end of ['end', 'resetAndDestroy', 'ours'] as const) {
        const { connection, peer, events, webSocket } = await open(t, { side });
        await peer.send(toward(side, text('a'), text('b')));
        await eventually(() => assert.equal(events.length, 2));
        if (end === 'ours') webSocket.destroy();
        else peer.socket[end]();
        await eventually(() => assert.equal(connection.gone, true));
        assert.deepEqual(events, ['a', 'b', 'closed 1006']);
      }
    });

    test('ends, after a FIN without a close, only once all that was sent is out', async (t) => {
      const { webSocket, connection, peer, events } = await open(t, { side });
      fill(webSocket);
      webSocket.sendText('the last');
      peer.socket.end();
      await eventually(() => assert.deepEqual(events, ['closed 1006']));
      assert.equal(connection.gone, false);
      peer.read();
      await eventually(() => assert.deepEqual(got(peer).at(-1), [TEXT, 'the last']));
      await eventually(() => assert.equal(connection.gone, true));
    });

    for (const [what, frames, closeCode, reason] of [
      ['breaks the protocol', [{ opcode: 3 }], 1002, 'unknown opcode'],
      ['sends text that is not UTF-8', [{ opcode: 1, payload: Buffer.from([0xff]) }], 1007, 'text is not UTF-8'],
      ['says too much', [{ opcode: 2, payload: Buffer.alloc(64 * 1024 + 1) }], 1009, 'message is too large'],
    ] as [string, RawFrame[], number, string][]) {
      test(`tells a peer that ${what} so with ${closeCode}`, async (t) => {
        const { peer, events } = await open(t, { side });
        peer.read();
        await peer.send(toward(side, text('fine'), ...frames, text('late')));
        await isTold(peer, closeCode, reason);
        assert.deepEqual(events, ['fine', `closed ${closeCode} ${reason}`]);
      });
    }

    test('fails when its user says so, and does not wait for an answer', async (t) => {
      const { webSocket, peer, events } = await open(t, { side });
      peer.read();
      webSocket.fail(CloseCode.TRY_AGAIN_LATER, 'too far behind');
      assert.deepEqual(events, ['closed 1013 too far behind']);
      await isTold(peer, 1013, 'too far behind');
    });

    test('is cut off if the peer neither answers a close nor ends its side', async (t) => {
      const limits = { closingTimeoutMs: 50 };
      const silent = await open(t, { side, limits });
      silent.webSocket.close();
      await eventually(() => assert.deepEqual(silent.events, ['closed 1006']));
      assert.equal(silent.connection.gone, true);
      const half = await open(t, { side, limits });
      half.webSocket.close();
      await half.peer.send(toward(side, close(1000)));
      await eventually(() => assert.deepEqual(half.events, ['closed 1000']));
      await eventually(() => assert.equal(half.connection.gone, true));
    });

    test('closes with 1001 at a shutdown, unless its user does otherwise', async (t) => {
      const plain = await open(t, { side });
      plain.peer.read();
      plain.connection.shutDown();
      await eventually(() => assert.deepEqual(got(plain.peer), [[CLOSE, closePayload(1001).toString('latin1')]]));
      plain.connection.shutDown();
      const acts: Acts = { onShutdown: () => own.webSocket.close(4001, 'successor:x') };
      const own = await open(t, { side, acts });
      own.peer.read();
      own.connection.shutDown();
      await isTold(own.peer, 4001, 'successor:x');
    });

    test('tells a fault of its user with 1011, costs no other connection, and is heard of', async (t) => {
      const fault = new Error('a fault');
      const throwIt = () => {
        throw fault;
      };
      for (const when of ['onMessage', 'onDrain', 'onTimer'] as const) {
        const { peer, webSocket, connection, events, loopback } = await open(t, { side, acts: { [when]: throwIt } });
        if (when === 'onMessage') await peer.send(toward(side, text('a'), text('b')));
        else if (when === 'onDrain') fill(webSocket);
        else webSocket.setTimer(0);
        peer.read();
        await isTold(peer, 1011, 'internal error');
        await eventually(() => assert.equal(connection.gone, true));
        assert.equal(events.at(-1), 'closed 1011 internal error');
        assert.deepEqual(loopback.faults, [fault]);
      }
    });

    test('taken over once the connection is gone, it has received the rest, and is closed', async (t) => {
      const loopback = await Loopback.open(t);
      const [connection, peer] = side === 'server' ? await loopback.accept() : await loopback.dial();
      peer.socket.resetAndDestroy();
      await eventually(() => assert.equal(connection.gone, true));
      const handler = new Recorder({});
      new WebSocketConnection(connection, side, LIMITS, handler).start(toward(side, text('early')));
      assert.deepEqual(handler.events, ['early', 'closed 1006']);
    });
  });
}

describe('paused', () => {
  test('it receives nothing more, not even what came in the same chunk; resumed, everything in order', async (t) => {
    const acts: Acts = { onMessage: () => opened.webSocket.pause() };
    const opened = await open(t, { acts });
    const { webSocket, peer, events, connection } = opened;
    const words = ['a', 'b', 'c', 'd', 'e'];
    // The last one is cut in two.
    const bytes = toward('server', ...words.map(text));
    await peer.send(bytes.subarray(0, -3));
    for (let received = 1; received <= 4; received++) {
      await eventually(() => assert.deepEqual(events, words.slice(0, received)));
      await delay(10);
      assert.equal(events.length, received);
      assert.deepEqual([webSocket.paused, connection.paused], [true, true]);
      webSocket.resume();
      if (received < 4) assert.equal(events.length, received + 1, 'received during the call');
    }
    await peer.send(bytes.subarray(-3));
    await eventually(() => assert.deepEqual(events, words));
  });

  test('and resumed in the same call, it goes on', async (t) => {
    const acts: Acts = {
      onMessage: () => {
        opened.webSocket.pause();
        opened.webSocket.resume();
      },
    };
    const opened = await open(t, { acts });
    await opened.peer.send(toward('server', text('a'), text('b'), text('c')));
    await eventually(() => assert.deepEqual(opened.events, ['a', 'b', 'c']));
    assert.equal(opened.connection.paused, false);
  });

  for (const end of ['end', 'resetAndDestroy'] as const) {
    test(`it loses nothing that came before the end: ${end}`, async (t) => {
      const acts: Acts = { onMessage: () => opened.webSocket.pause() };
      const opened = await open(t, { acts });
      const { webSocket, peer, events, connection } = opened;
      await peer.send(toward('server', text('a'), text('b'), text('c')));
      await eventually(() => assert.deepEqual(events, ['a']));
      peer.socket[end]();
      await delay(20);
      if (end === 'end') {
        webSocket.resume();
        webSocket.resume();
        webSocket.resume();
      }
      await eventually(() => assert.deepEqual(events, ['a', 'b', 'c', 'closed 1006']));
      await eventually(() => assert.equal(connection.gone, true));
    });
  }

  test('it closes: what waits is dropped, and the peer’s close is found behind it', async (t) => {
    const acts: Acts = { onMessage: () => opened.webSocket.pause() };
    const opened = await open(t, { acts });
    const { webSocket, peer, events, connection } = opened;
    peer.read();
    await peer.send(toward('server', text('a'), text('b'), close(1000)));
    await eventually(() => assert.deepEqual(events, ['a']));
    webSocket.close(1001);
    assert.deepEqual(events, ['a', 'closed 1000']);
    assert.equal(connection.paused, false);
    await isTold(peer, 1001, '');
  });

  test('it is not dead, and no message is late', async (t) => {
    const { webSocket, peer, events, connection } = await open(t, {
      limits: { pingIntervalMs: 200, frameTimeoutMs: 400 },
    });
    peer.read();
    const half = toward('server', text('half'));
    await peer.send(half.subarray(0, 3));
    await eventually(() => assert.equal(connection.unsentBytes, 0));
    await delay(20);
    webSocket.pause();
    await delay(800);
    assert.equal(connection.gone, false);
    webSocket.resume();
    await peer.send(half.subarray(3));
    await eventually(() => assert.deepEqual(events, ['half']));
  });
});

describe('backpressure', () => {
  test('what is unsent is counted, and its end is told', async (t) => {
    const { webSocket, peer, events } = await open(t);
    assert.deepEqual([webSocket.blocked, webSocket.unsentBytes], [false, 0]);
    fill(webSocket);
    const before = webSocket.unsentBytes;
    assert.ok(before > 0);
    webSocket.sendText('x'.repeat(1000));
    assert.equal(webSocket.unsentBytes, before + 1004);
    assert.deepEqual(events, []);
    peer.read();
    await eventually(() => assert.deepEqual(events, ['drain']));
    assert.deepEqual([webSocket.blocked, webSocket.unsentBytes], [false, 0]);
  });
});

test('a handler that pauses when blocked gets no more than one chunk, and loses nothing', async (t) => {
  const acts: Acts = {
    onMessage: (payload, opcode) => opened.webSocket.sendMessage(payload, opcode),
    onBlocked: () => opened.webSocket.pause(),
    onDrain: () => opened.webSocket.resume(),
  };
  const opened = await open(t, { acts });
  const { webSocket, peer, events } = opened;
  const message = toward('server', { opcode: 2, payload: Buffer.alloc(60_000, 'x') });
  const sent = peer.send(Buffer.concat(Array.from({ length: 200 }, () => message)));
  await eventually(() => assert.equal(webSocket.paused, true));
  assert.equal(events.at(-1), 'blocked');
  const unsentBytes = webSocket.unsentBytes;
  await delay(50);
  assert.equal(webSocket.unsentBytes, unsentBytes);
  peer.read();
  await sent;
  await eventually(() => assert.equal(got(peer).length, 200));
  assert.ok(events.includes('drain'), 'it went on');
});

describe('time', { concurrency: true }, () => {
  test('a silent peer is pinged twice, and ended', async (t) => {
    const { peer, events, connection } = await open(t, { limits: { pingIntervalMs: 150 } });
    peer.read();
    await eventually(() => assert.equal(connection.gone, true));
    assert.deepEqual(events, ['closed 1006']);
    const frames = got(peer);
    assert.ok(frames.length >= 1 && frames.length <= 2, `${frames.length} pings`);
    for (const frame of frames) assert.deepEqual(frame, [PING, '']);
  });

  test('a timer that is set again and again keeps neither a ping nor the end from coming', async (t) => {
    const acts: Acts = { onTimer: () => opened.webSocket.setTimer(10) };
    const opened = await open(t, { acts, limits: { pingIntervalMs: 150 }, before: (ws) => ws.setTimer(0) });
    opened.peer.read();
    await eventually(() => assert.equal(opened.connection.gone, true));
    assert.ok(opened.events.filter((event) => event === 'timer').length > 2);
    const pings = got(opened.peer).length;
    assert.ok(pings >= 1 && pings <= 2, `${pings} pings`);
  });

  test('a peer that answers is alive', async (t) => {
    const { peer, connection } = await open(t, { limits: { pingIntervalMs: 100 } });
    peer.read();
    for (let pings = 1; pings <= 5; pings++) {
      await eventually(() => assert.equal(got(peer).length, pings));
      await peer.send(toward('server', { opcode: PONG }));
    }
    assert.equal(connection.gone, false);
  });

  test('a peer that sends but takes nothing is dead, and one that takes something is not', async (t) => {
    const limits = { pingIntervalMs: 100 };
    const stuck = await open(t, { limits });
    fill(stuck.webSocket);
    const talk = setInterval(() => stuck.peer.socket.write(toward('server', text('x'))), 20);
    await eventually(() => assert.equal(stuck.connection.gone, true));
    clearInterval(talk);
    assert.equal(stuck.events.at(-1), 'closed 1006');
  });

  test('a dripped message is failed with 1008, whatever comes between', async (t) => {
    const { peer, events } = await open(t, { limits: { frameTimeoutMs: 100 } });
    peer.read();
    await peer.send(toward('server', { opcode: TEXT, payload: 'a', fin: false }));
    const pings = setInterval(() => peer.socket.write(toward('server', { opcode: PING })), 20);
    await isTold(peer, 1008, 'message took too long');
    clearInterval(pings);
    assert.equal(events.at(-1), 'closed 1008 message took too long');
  });

  test('messages that each come in time are fine, wherever the chunks are cut', async (t) => {
    const { peer, events, connection } = await open(t, { limits: { frameTimeoutMs: 1000 } });
    const message = toward('server', text('message'));
    await peer.send(message.subarray(0, 5));
    for (let round = 1; round <= 15; round++) {
      await peer.send(Buffer.concat([message.subarray(5), message.subarray(0, 5)]));
      await eventually(() => assert.equal(events.length, round));
      await delay(90);
    }
    assert.equal(connection.gone, false);
  });

  test('more pings than the quota are failed with 1008', async (t) => {
    const { peer, events } = await open(t, { limits: { maxPingsPerSecond: 5 } });
    peer.read();
    await peer.send(toward('server', ...Array.from({ length: 11 }, () => ({ opcode: PING })), text('late')));
    await isTold(peer, 1008, 'too many pings');
    assert.deepEqual(events, [...Array(10).fill('ping'), 'closed 1008 too many pings']);
  });

  test('a timer comes once, may be moved or cleared, and is dropped at the close', async (t) => {
    const { webSocket, events } = await open(t);
    webSocket.setTimer(60_000);
    webSocket.setTimer(1);
    await eventually(() => assert.deepEqual(events, ['timer']));
    webSocket.setTimer(1);
    webSocket.clearTimer();
    await delay(120);
    webSocket.setTimer(1);
    webSocket.close();
    await delay(120);
    assert.deepEqual(events, ['timer']);
  });
});
