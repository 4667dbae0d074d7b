import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Session, type SessionSink, SessionState } from '../../src/frame/session.ts';
import { CloseCode, Opcode, ProtocolError, type Side } from '../../src/frame/vocabulary.ts';
import { everySplit } from '../support/every-split.ts';
import { MASKING_KEY, type RawFrame, rawFrame, readFrames } from '../support/raw-frame.ts';
import { type RecordedEvent, RecordingSink } from '../support/recording-sink.ts';

const SIDES: Side[] = ['server', 'client'];
const LIMITS = { maxMessageBytes: 1000, maxFragments: 10 };

interface Opened {
  session: Session;
  sink: RecordingSink;
}

function open(side: Side): Opened {
  const sink = new RecordingSink();
  return { session: new Session(side, LIMITS, sink, sink), sink };
}

/** The frames as the peer of `side` sends them. */
function stream(side: Side, frames: RawFrame[]): Buffer {
  const maskingKey = side === 'server' ? MASKING_KEY : undefined;
  return Buffer.concat(frames.map((frame) => rawFrame({ maskingKey, ...frame })));
}

/** What was written: opcode and payload in hex, once every frame was seen to be whole and masked as `side` must. */
function written({ session, sink }: Opened): [opcode: number, payload: string][] {
  return readFrames(Buffer.concat(sink.written)).map(({ fin, rsv, opcode, masked, payload }) => {
    assert.deepEqual({ fin, rsv, masked }, { fin: true, rsv: 0, masked: session.side === 'client' });
    return [opcode, payload.toString('hex')];
  });
}

/** Sends the frames to a fresh session in every chunking and checks all that it does. */
function check(
  side: Side,
  frames: RawFrame[],
  expected: { events: RecordedEvent[]; written: [opcode: number, payload: string][]; state: SessionState },
  prepare?: (opened: Opened) => void,
): void {
  everySplit(stream(side, frames), (chunks) => {
    const opened = open(side);
    prepare?.(opened);
    for (const chunk of chunks) opened.session.receive(chunk);
    assert.deepEqual({ events: opened.sink.events, written: written(opened), state: opened.session.state }, expected);
  });
}

const hex = (text: string) => Buffer.from(text).toString('hex');

for (const side of SIDES) {
  describe(`Session, OPEN, as a ${side}`, () => {
    it('tells messages and pongs, and answers nothing', () => {
      const frames = [
        { opcode: 1, payload: 'Hello' },
        { opcode: 2, payload: 'b', fin: false },
        { opcode: 10, payload: 'p' },
        { opcode: 0, payload: 'c' },
      ];
      const events: RecordedEvent[] = [
        ['text', 'Hello'],
        ['pong', hex('p')],
        ['binary', hex('bc')],
      ];
      check(side, frames, { events, written: [], state: SessionState.OPEN });
    });

    it('5.5.3: answers a ping at once with a pong of "identical \'Application data\'"', () => {
      const frames = [{ opcode: 9, payload: 'Hello' }, { opcode: 9 }, { opcode: 9, payload: 'x'.repeat(125) }];
      check(side, frames, {
        events: [
          ['ping', hex('Hello')],
          ['ping', ''],
          ['ping', hex('x'.repeat(125))],
        ],
        written: [
          [Opcode.PONG, hex('Hello')],
          [Opcode.PONG, ''],
          [Opcode.PONG, hex('x'.repeat(125))],
        ],
        state: SessionState.OPEN,
      });
    });

    it('needs no sink for pings and pongs', () => {
      const messages: string[] = [];
      const sent: Buffer[] = [];
      const writer = { batch: null, write: (bytes: Buffer) => sent.push(bytes) };
      const session = new Session(side, LIMITS, writer, {
        onMessage: (payload) => messages.push(payload.toString()),
        onClosed() {},
      });
      session.receive(stream(side, [{ opcode: 9, payload: 'p' }, { opcode: 10 }, { opcode: 1, payload: 'm' }]));
      assert.deepEqual(messages, ['m']);
      assert.equal(readFrames(Buffer.concat(sent))[0]?.opcode, Opcode.PONG);
    });

    it('sends text, binary and pings, one write each', () => {
      const opened = open(side);
      opened.session.sendText('Grüße');
      opened.session.sendMessage(Buffer.from([0, 0xff]), Opcode.BINARY);
      opened.session.sendPing(Buffer.from('p'));
      opened.session.sendPing(Buffer.alloc(125));
      assert.equal(opened.sink.written.length, 4);
      assert.deepEqual(written(opened), [
        [Opcode.TEXT, hex('Grüße')],
        [Opcode.BINARY, '00ff'],
        [Opcode.PING, hex('p')],
        [Opcode.PING, '00'.repeat(125)],
      ]);
    });

    it('refuses to send a ping over 125 bytes, or a close that may not travel, and stays OPEN', () => {
      const { session, sink } = open(side);
      assert.throws(() => session.sendPing(Buffer.alloc(126)), RangeError);
      assert.throws(() => session.sendClose(1006), RangeError);
      assert.throws(() => session.sendClose(1000, 'x'.repeat(124)), RangeError);
      assert.equal(session.state, SessionState.OPEN);
      assert.deepEqual(sink.written, []);
    });

    it('is at a boundary between two messages, not inside a frame or a message', () => {
      const { session } = open(side);
      const steps: [bytes: Buffer, atBoundary: boolean][] = [
        [Buffer.alloc(0), true],
        [stream(side, [{ opcode: 1, payload: 'a' }]), true],
        [stream(side, [{ opcode: 1, payload: 'a', fin: false }]), false],
        [stream(side, [{ opcode: 9 }]), false],
        [stream(side, [{ opcode: 0 }]), true],
        [stream(side, [{ opcode: 9 }]).subarray(0, 1), false],
        [stream(side, [{ opcode: 9 }]).subarray(1), true],
      ];
      for (const [bytes, atBoundary] of steps) {
        session.receive(bytes);
        assert.equal(session.atBoundary, atBoundary);
      }
    });

    it('5.5.1: answers a close with its code, without its reason, and is CLOSED; nothing after it is told', () => {
      const frames = [
        { opcode: 8, payload: Buffer.from(`03e9${hex('bye')}`, 'hex') },
        { opcode: 1, payload: 'late' },
        { opcode: 9 },
        { opcode: 10 },
        { opcode: 3 },
      ];
      check(side, frames, {
        events: [['closed', 1001, 'bye']],
        written: [[Opcode.CLOSE, '03e9']],
        state: SessionState.CLOSED,
      });
    });

    it('7.1.5: answers a close without a code with one, and tells 1005', () => {
      check(side, [{ opcode: 8 }], {
        events: [['closed', 1005, '']],
        written: [[Opcode.CLOSE, '']],
        state: SessionState.CLOSED,
      });
    });

    it('is closed by a close inside a message', () => {
      check(side, [{ opcode: 1, payload: 'never ends', fin: false }, { opcode: 8 }, { opcode: 0 }], {
        events: [['closed', 1005, '']],
        written: [[Opcode.CLOSE, '']],
        state: SessionState.CLOSED,
      });
    });

    const FAILURES: [frame: RawFrame, closeCode: number, closeReason: string][] = [
      [{ opcode: 1, rsv: 4 }, 1002, 'reserved bit is set'],
      [{ opcode: 3 }, 1002, 'unknown opcode'],
      [{ opcode: 0 }, 1002, 'continuation of no message'],
      [{ opcode: 8, payload: 'x' }, 1002, 'close payload is one byte'],
      [{ opcode: 8, payload: Buffer.from([0x03, 0xed]) }, 1002, 'close code is not allowed'],
      [{ opcode: 8, payload: Buffer.from([0x03, 0xe8, 0x80]) }, 1007, 'close reason is not UTF-8'],
      [{ opcode: 1, payload: Buffer.from([0x80]) }, 1007, 'text is not UTF-8'],
      [{ opcode: 1, announcedLength: 1001n }, 1009, 'message is too large'],
    ];
    for (const [frame, closeCode, closeReason] of FAILURES) {
      it(`7.1.7: fails with ${closeCode}, ${closeReason}`, () => {
        const frames = [{ opcode: 1, payload: 'fine' }, frame, { opcode: 1, payload: 'late' }];
        const payload = Buffer.concat([Buffer.from([closeCode >> 8, closeCode & 0xff]), Buffer.from(closeReason)]);
        check(side, frames, {
          events: [
            ['text', 'fine'],
            ['closed', closeCode, closeReason],
          ],
          written: [[Opcode.CLOSE, payload.toString('hex')]],
          state: SessionState.CLOSED,
        });
      });
    }

    it('7.1.5: reports 1006 if the bytes end without a close, and writes nothing', () => {
      const opened = open(side);
      opened.session.receiveEof();
      opened.session.receiveEof();
      assert.deepEqual(opened.sink.events, [['closed', 1006, '']]);
      assert.deepEqual(written(opened), []);
      assert.equal(opened.session.state, SessionState.CLOSED);
    });
  });

  describe(`Session, CLOSING, as a ${side}`, () => {
    const sendClose = ({ session }: Opened) => session.sendClose(1001, 'bye');
    const OURS: [number, string] = [Opcode.CLOSE, `03e9${hex('bye')}`];

    it('has told the peer, and waits', () => {
      const opened = open(side);
      sendClose(opened);
      assert.equal(opened.session.state, SessionState.CLOSING);
      assert.deepEqual(written(opened), [OURS]);
      assert.deepEqual(opened.sink.events, []);
    });

    it('5.5.1: sends nothing more', () => {
      const opened = open(side);
      sendClose(opened);
      opened.session.sendText('late');
      opened.session.sendMessage(Buffer.from('late'), Opcode.BINARY);
      opened.session.sendPing(Buffer.from('late'));
      opened.session.sendClose(1000);
      assert.deepEqual(written(opened), [OURS]);
    });

    it('drops messages, answers no ping, still tells pongs', () => {
      const frames = [
        { opcode: 1, payload: 'on its way' },
        { opcode: 9, payload: 'p' },
        { opcode: 10, payload: 'p' },
      ];
      check(side, frames, { events: [['pong', hex('p')]], written: [OURS], state: SessionState.CLOSING }, sendClose);
    });

    it("7.1.4: is CLOSED by the peer's close, and tells its code and reason", () => {
      const frames = [
        { opcode: 1, payload: 'on its way' },
        { opcode: 8, payload: Buffer.from('0fa0', 'hex') },
      ];
      check(side, frames, { events: [['closed', 4000, '']], written: [OURS], state: SessionState.CLOSED }, sendClose);
    });

    it('is CLOSED by what breaks the protocol, without a second close', () => {
      check(
        side,
        [{ opcode: 3 }],
        { events: [['closed', 1002, 'unknown opcode']], written: [OURS], state: SessionState.CLOSED },
        sendClose,
      );
    });

    it('is CLOSED with 1006 by the end of the bytes', () => {
      const opened = open(side);
      sendClose(opened);
      opened.session.receiveEof();
      assert.deepEqual(opened.sink.events, [['closed', 1006, '']]);
      assert.equal(opened.session.state, SessionState.CLOSED);
    });

    it('is CLOSED by fail, without a second close', () => {
      const opened = open(side);
      sendClose(opened);
      opened.session.fail(1008, 'too slow');
      assert.deepEqual(opened.sink.events, [['closed', 1008, 'too slow']]);
      assert.deepEqual(written(opened), [OURS]);
    });

    it('begins with an empty close for 1005', () => {
      const opened = open(side);
      opened.session.sendClose(CloseCode.NO_STATUS);
      assert.equal(opened.session.state, SessionState.CLOSING);
      assert.deepEqual(written(opened), [[Opcode.CLOSE, '']]);
    });
  });

  describe(`Session, CLOSED, as a ${side}`, () => {
    it('takes nothing, sends nothing, and has told its end once', () => {
      const opened = open(side);
      const { session, sink } = opened;
      session.fail(1011, 'a fault');
      session.receive(
        stream(side, [{ opcode: 1, payload: 'late' }, { opcode: 9 }, { opcode: 10 }, { opcode: 8 }, { opcode: 3 }]),
      );
      session.receiveEof();
      session.sendText('late');
      session.sendMessage(Buffer.from('late'), Opcode.BINARY);
      session.sendPing(Buffer.from('late'));
      session.sendClose(1000);
      session.fail(1008, 'again');
      assert.deepEqual(sink.events, [['closed', 1011, 'a fault']]);
      assert.deepEqual(written(opened), [[Opcode.CLOSE, `03f3${hex('a fault')}`]]);
      assert.equal(session.state, SessionState.CLOSED);
    });
  });

  describe(`Session and what its sink does, as a ${side}`, () => {
    /** A sink that runs `act` on each message it was told. */
    function acting(act: (session: Session) => void): Opened & { chunk: Buffer } {
      const recording = new RecordingSink();
      const sink: SessionSink = {
        onMessage: (payload, opcode) => {
          recording.onMessage(payload, opcode);
          act(session);
        },
        onClosed: (close) => recording.onClosed(close),
      };
      const session = new Session(side, LIMITS, recording, sink);
      const chunk = stream(side, [{ opcode: 1, payload: 'one' }, { opcode: 1, payload: 'two' }, { opcode: 9 }]);
      return { session, sink: recording, chunk };
    }

    it('stops in the middle of a chunk if a message makes it fail', () => {
      const opened = acting((session) => session.fail(1008, 'not today'));
      opened.session.receive(opened.chunk);
      assert.deepEqual(opened.sink.events, [
        ['text', 'one'],
        ['closed', 1008, 'not today'],
      ]);
      assert.equal(written(opened).length, 1);
    });

    it("passes on no more messages after one makes it close, and still finds the peer's close", () => {
      const opened = acting((session) => session.sendClose(1000));
      opened.session.receive(Buffer.concat([opened.chunk, stream(side, [{ opcode: 8 }])]));
      assert.deepEqual(opened.sink.events, [
        ['text', 'one'],
        ['closed', 1005, ''],
      ]);
      assert.deepEqual(written(opened), [[Opcode.CLOSE, '03e8']]);
    });

    it('fails with what a ProtocolError of the sink says', () => {
      const opened = acting(() => {
        throw new ProtocolError(CloseCode.UNACCEPTABLE_TYPE, 'text only');
      });
      opened.session.receive(opened.chunk);
      assert.deepEqual(opened.sink.events.at(-1), ['closed', 1003, 'text only']);
      assert.deepEqual(written(opened), [[Opcode.CLOSE, `03eb${hex('text only')}`]]);
    });

    it('fails with 1011 if the sink throws any other error, and throws it on', () => {
      const fault = new Error('a fault of the sink');
      const opened = acting(() => {
        throw fault;
      });
      assert.throws(
        () => opened.session.receive(opened.chunk),
        (error) => error === fault,
      );
      assert.deepEqual(opened.sink.events, [
        ['text', 'one'],
        ['closed', 1011, 'internal error'],
      ]);
      assert.deepEqual(written(opened), [[Opcode.CLOSE, `03f3${hex('internal error')}`]]);
    });

    it('stays CLOSED, and reports it once, if a write finds the connection gone', () => {
      const closed: number[] = [];
      const writer = { batch: null, write: () => session.receiveEof() };
      const session = new Session(side, LIMITS, writer, {
        onMessage() {},
        onClosed: ({ closeCode }) => closed.push(closeCode),
      });
      session.sendClose(1000);
      session.receive(stream(side, [{ opcode: 8 }]));
      session.receiveEof();
      assert.deepEqual(closed, [1006]);
      assert.equal(session.state, SessionState.CLOSED);
    });
  });
}

describe('Many sessions', () => {
  const talk = (name: string): RawFrame[] => [
    { opcode: 1, payload: `${name} whole` },
    { opcode: 1, payload: Buffer.from(`${name} é`).subarray(0, -1), fin: false },
    { opcode: 9, payload: name },
    { opcode: 0, payload: Buffer.from('é').subarray(1) },
    { opcode: 2, payload: name.repeat(20) },
  ];
  const heard = (name: string): RecordedEvent[] => [
    ['text', `${name} whole`],
    ['ping', hex(name)],
    ['text', `${name} é`],
    ['binary', hex(name.repeat(20))],
  ];

  it('read in turns, with any cuts, each continue at their own place', () => {
    for (let length = 1; length < 60; length++) {
      const talks = ['a', 'b', 'c', 'd'].map((name, i) => {
        const opened = open(SIDES[i >> 1] as Side);
        return { name, opened, bytes: stream(opened.session.side, talk(name)) };
      });
      for (let at = 0; talks.some(({ bytes }) => at < bytes.length); at += length) {
        for (const { opened, bytes } of talks) opened.session.receive(bytes.subarray(at, at + length));
      }
      for (const { name, opened } of talks) {
        assert.deepEqual(opened.sink.events, heard(name));
        assert.equal(opened.session.atBoundary, true);
      }
    }
  });

  it('one read while another is, each tell their own', () => {
    const inner = open('server');
    const outer = new RecordingSink();
    const session = new Session('server', LIMITS, outer, {
      onMessage: (payload, opcode) => {
        outer.onMessage(payload, opcode);
        inner.session.receive(stream('server', talk('inner')));
      },
      onPing: (payload) => outer.onPing(payload),
      onClosed: (close) => outer.onClosed(close),
    });
    session.receive(stream('server', talk('outer')));
    assert.deepEqual(outer.events, heard('outer'));
    assert.deepEqual(inner.sink.events, [...heard('inner'), ...heard('inner'), ...heard('inner')]);
  });

  it('keep each to its own limits, and what broke one breaks no other', () => {
    const large = open('server');
    const sink = new RecordingSink();
    const small = new Session('server', { maxMessageBytes: 10, maxFragments: 2 }, sink, sink);
    const message = (length: number) => stream('server', [{ opcode: 2, payload: 'x'.repeat(length) }]);
    large.session.receive(message(11));
    small.receive(message(10));
    large.session.receive(message(11));
    small.receive(message(11));
    large.session.receive(message(11));
    assert.deepEqual(
      sink.events.map(([what]) => what),
      ['binary', 'closed'],
    );
    assert.deepEqual(sink.events.at(-1), ['closed', 1009, 'message is too large']);
    assert.deepEqual(
      large.sink.events.map(([what]) => what),
      ['binary', 'binary', 'binary'],
    );
  });
});

describe('Two sessions, back to back', () => {
  it('talk, ping and close, both ways', () => {
    for (const closer of SIDES) {
      const sinks = { server: new RecordingSink(), client: new RecordingSink() };
      const sessions = {
        server: new Session('server', LIMITS, sinks.server, sinks.server),
        client: new Session('client', LIMITS, sinks.client, sinks.client),
      };
      const carry = () => {
        for (let moved = true; moved; ) {
          const toClient = sinks.server.written.splice(0);
          const toServer = sinks.client.written.splice(0);
          for (const bytes of toClient) sessions.client.receive(bytes);
          for (const bytes of toServer) sessions.server.receive(bytes);
          moved = toClient.length + toServer.length > 0;
        }
      };
      for (const side of SIDES) {
        sessions[side].sendText(`from the ${side}`);
        sessions[side].sendMessage(Buffer.alloc(500, side), Opcode.BINARY);
        sessions[side].sendPing(Buffer.from(side));
      }
      carry();
      sessions[closer].sendClose(1001, 'bye');
      carry();
      for (const side of SIDES) {
        const other = side === 'server' ? 'client' : 'server';
        assert.deepEqual(sinks[side].events, [
          ['text', `from the ${other}`],
          ['binary', Buffer.alloc(500, other).toString('hex')],
          ['ping', hex(other)],
          ['pong', hex(side)],
          ['closed', 1001, side === closer ? '' : 'bye'],
        ]);
      }
    }
  });
});
