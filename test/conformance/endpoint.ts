/**
 * The conformance cases and how they run.
 *
 * The tables in this folder are the cases that the field's fuzzing suite for RFC 6455, Autobahn|Testsuite, puts to an
 * endpoint, written down anew from the RFC and numbered as there: framing 1, pings 2, reserved bits 3, opcodes 4,
 * fragmentation 5, UTF-8 6, closing 7, sizes 9 and 10. Classes 12 and 13 test permessage-deflate: a Session negotiates
 * no extension, so to it a compressed message is a reserved bit, and a failure (class 3).
 *
 * As there, the endpoint under test echoes every message. Each case runs with the Session as server and as client, its
 * bytes whole, frame by frame, chopped and byte by byte, so that the suite's variants of one case which differ only in
 * that ("octet-wise", "frame-wise") are one here. All of it runs twice: suite.test.ts puts the cases to src/, and
 * built.test.ts to what was built from it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import type { MessageLimits } from '../../src/frame/message.ts';
import type * as SessionModule from '../../src/frame/session.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { chop } from '../support/chop.ts';
import { MASKING_KEY, type RawFrame, rawFrame, readFrames } from '../support/raw-frame.ts';

const MODULE = process.env.CONFORMANCE_OF === 'dist' ? '../../dist/frame/session.js' : '../../src/frame/session.ts';
const { Session, SessionState }: typeof SessionModule = await import(MODULE);

/** A frame that the endpoint sends: a message echoed, a pong, or its close, with its code, or 0 for none. */
export type Reply = ['text' | 'binary' | 'pong', payload: Buffer | string] | ['close', closeCode: number];

export interface Case {
  id: string;
  what: string;
  /** What the suite sends. */
  frames: RawFrame[];
  /** All that the endpoint sends. With a close at the end it is CLOSED, otherwise OPEN. */
  replies: Reply[];
}

const LIMITS: MessageLimits = { maxMessageBytes: 2 ** 20, maxFragments: 1024 };

/** Byte by byte up to so many bytes; beyond, it shows nothing new and takes long. */
const BYTE_BY_BYTE_UP_TO = 70_000;

/** A close frame's payload. */
export function closePayload(closeCode: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.from([closeCode >> 8, closeCode & 0xff]), Buffer.from(reason)]);
}

/** A case in which all is legal: the suite closes with 1000 at its end, and is answered. */
export function passes(id: string, what: string, frames: RawFrame[], replies: Reply[]): Case {
  return {
    id,
    what,
    frames: [...frames, { opcode: Opcode.CLOSE, payload: closePayload(1000) }],
    replies: [...replies, ['close', 1000]],
  };
}

/** A case in which something is illegal: the endpoint fails the connection with `closeCode`, after these replies. */
export function fails(id: string, what: string, closeCode: number, frames: RawFrame[], replies: Reply[] = []): Case {
  return { id, what, frames, replies: [...replies, ['close', closeCode]] };
}

/** An endpoint that echoes, and what it has sent. */
export class Echo {
  readonly session: SessionModule.Session;
  readonly #sent: Buffer[] = [];

  constructor(side: Side, limits = LIMITS) {
    const writer = { batch: null, write: (bytes: Buffer) => this.#sent.push(bytes) };
    this.session = new Session(side, limits, writer, {
      onMessage: (payload, opcode) => {
        if (opcode === Opcode.TEXT) this.session.sendText(payload.toString());
        else this.session.sendMessage(payload, Opcode.BINARY);
      },
      onClosed() {},
    });
  }

  /** All that was sent so far, once it is seen to be what such a side may send. */
  replies(): Reply[] {
    return readFrames(Buffer.concat(this.#sent)).map(({ fin, rsv, opcode, masked, payload }) => {
      assert.deepEqual({ fin, rsv, masked }, { fin: true, rsv: 0, masked: this.session.side === 'client' });
      switch (opcode) {
        case Opcode.TEXT:
          return ['text', payload];
        case Opcode.BINARY:
          return ['binary', payload];
        case Opcode.PONG:
          return ['pong', payload];
        case Opcode.CLOSE:
          return ['close', payload.length === 0 ? 0 : payload.readUInt16BE()];
        default:
          throw new Error(`the endpoint sent opcode ${opcode}`);
      }
    });
  }
}

/** The frame as the peer of `side` sends it. */
export function toward(side: Side, frame: RawFrame): Buffer {
  return rawFrame({ maskingKey: side === 'server' ? MASKING_KEY : undefined, ...frame });
}

/** Runs every case on both sides and in every chopping. */
export function run(cases: Iterable<Case>, limits = LIMITS): void {
  for (const { id, what, frames, replies } of cases) {
    it(`${id} ${what}`, () => {
      const expected = replies.map(shown);
      for (const side of ['server', 'client'] satisfies Side[]) {
        const each = frames.map((frame) => toward(side, frame));
        for (const [how, chunks] of choppings(each)) {
          const echo = new Echo(side, limits);
          for (const chunk of chunks) echo.session.receive(chunk);
          assert.deepEqual(echo.replies().map(shown), expected, `as a ${side}, ${how}`);
          const ended = replies.at(-1)?.[0] === 'close';
          assert.equal(echo.session.state, ended ? SessionState.CLOSED : SessionState.OPEN, `as a ${side}, ${how}`);
        }
      }
    });
  }
}

function* choppings(frames: Buffer[]): Generator<[how: string, chunks: Buffer[]]> {
  const bytes = Buffer.concat(frames);
  yield ['whole', [Buffer.from(bytes)]];
  yield ['frame by frame', frames.map((frame) => Buffer.from(frame))];
  for (const size of bytes.length < 2000 ? [2, 3, 7] : [64, 997, 65_536])
    yield [`chopped by ${size}`, chop(bytes, size)];
  if (bytes.length <= BYTE_BY_BYTE_UP_TO) yield ['byte by byte', chop(bytes, 1)];
}

/** A reply in a form that a failed test can print. */
function shown([what, detail]: Reply): string {
  if (typeof detail === 'number') return `${what} ${detail}`;
  const payload = Buffer.from(detail);
  if (payload.length <= 256) return `${what} ${payload.toString('hex')}`;
  return `${what} of ${payload.length} bytes, SHA-256 ${createHash('sha256').update(payload).digest('hex')}`;
}
