/** The frames as `ws` reads them, and where its judgement is meant to differ from ours. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import type { MessageLimits } from '../../src/frame/message.ts';
import { CloseCode, type Side } from '../../src/frame/vocabulary.ts';
import { masked } from '../support/raw-frame.ts';
import { Event, FrameOutcome } from './frame-outcome.ts';
import type { OurOutcome } from './frame-reader.ts';
import type { Difference, DifferenceText } from './target.ts';

type Callback = (error?: Error | null) => void;

/** What of the Receiver of `ws` is used here; its types leave it out. */
interface WsReceiver extends Writable {
  _fragments: Buffer[];
  _buffers: Buffer[];
  _fragmented: number;
  _numFragments: number;
  _opcode: number;
  _payloadLength: number;
  _mask: Buffer | undefined;
  _state: number;
  consume(length: number): Buffer;
  haveLength(done: Callback): void;
}
const { Receiver } = ws as unknown as {
  Receiver: new (options: { isServer: boolean; maxPayload: number; maxFragments: number }) => WsReceiver;
};

// Its states.
const GET_PAYLOAD_LENGTH_16 = 1;
const GET_PAYLOAD_LENGTH_64 = 2;
const GET_DATA = 4;

const TEXT = 1;
const NOTHING = Buffer.alloc(0);

const EVENTS: Readonly<Record<string, Event>> = { ping: Event.PING, pong: Event.PONG };

/** Driven without its stream, for the stream would tell of an error only in the next tick: a million times too slow. */
class ObservedReceiver extends Receiver {
  readonly outcome: WsOutcome;
  readonly #maxFragments: number;
  #lengthBytes: Buffer = NOTHING;

  constructor(side: Side, limits: MessageLimits, outcome: WsOutcome) {
    super({ isServer: side === 'server', maxPayload: limits.maxMessageBytes, maxFragments: limits.maxFragments });
    this.outcome = outcome;
    this.#maxFragments = limits.maxFragments;
  }

  read(chunks: Iterable<Buffer>): void {
    const done: Callback = (error) => {
      if (error) this.#fail(error);
    };
    for (const chunk of chunks) {
      // A socket gives no empty chunk.
      if (chunk.length > 0 && this.outcome.end === null) this._write(chunk, 'buffer' as BufferEncoding, done);
    }
    this.outcome.fragmentsUsedUp = this._numFragments >= this.#maxFragments;
    this.outcome.textInHand = this.#textInHand();
  }

  override emit(event: string, ...details: unknown[]): boolean {
    const [payload, second] = details as [Buffer, unknown];
    if (event === 'message') this.outcome.add(second ? Event.BINARY : Event.TEXT, payload);
    else if (event === 'conclude') {
      this.outcome.end = { closeCode: details[0] as number, closeReason: String(second) };
    } else this.outcome.add(EVENTS[event] as Event, payload);
    return true;
  }

  override end(): this {
    return this;
  }

  override consume(length: number): Buffer {
    const bytes = super.consume(length);
    this.#lengthBytes = bytes;
    return bytes;
  }

  override haveLength(done: Callback): void {
    const shortest = { [GET_PAYLOAD_LENGTH_16]: 126, [GET_PAYLOAD_LENGTH_64]: 65_536 }[this._state] ?? 0;
    if (this._payloadLength < shortest) this.outcome.longLengthAt ??= this.outcome.length;
    super.haveLength(done);
  }

  #fail(error: Error): void {
    // The close code it would send stands under a symbol.
    const [symbol] = Object.getOwnPropertySymbols(error);
    const closeCode = (error as unknown as Record<symbol, number>)[symbol as symbol] as number;
    this.outcome.failed = true;
    this.outcome.topBit = error.message.endsWith('2^53 - 1') && (this.#lengthBytes[0] as number) >= 0x80;
    this.outcome.end = { closeCode, closeReason: error.message };
  }

  /** What of a text has come, its fragments whole or not. */
  #textInHand(): Buffer {
    const pieces = this._fragmented === TEXT ? [...this._fragments] : [];
    if (this._state === GET_DATA && this._opcode === TEXT) {
      const piece = Buffer.concat(this._buffers);
      pieces.push(this._mask === undefined ? piece : masked(piece, this._mask));
    }
    return pieces.length === 0 ? NOTHING : Buffer.concat(pieces);
  }
}

/** An outcome, and what tells why it may differ from ours. */
export class WsOutcome extends FrameOutcome {
  failed = false;
  /** After which events it first took a length written in more bytes than needed. */
  longLengthAt: number | null = null;
  /** It failed for a length whose top bit is set. */
  topBit = false;
  /** One more fragment would be too many. */
  fragmentsUsedUp = false;
  textInHand: Buffer = NOTHING;

  override reset(): void {
    super.reset();
    this.failed = false;
    this.longLengthAt = null;
    this.topBit = false;
  }

  read(side: Side, limits: MessageLimits, chunks: Iterable<Buffer>): this {
    this.reset();
    new ObservedReceiver(side, limits, this).read(chunks);
    return this;
  }

  /** What `ws` takes and we must not is no agreement, also where we take it too. */
  agreesWith(ours: OurOutcome): boolean {
    if (!this.hasSameEvents(ours) || this.failed !== ours.failed) return false;
    if (this.end?.closeCode !== ours.end?.closeCode || this.topBit) return false;
    if (this.failed) return this.longLengthAt === null || ours.end?.closeCode !== CloseCode.TOO_LARGE;
    // The reason is each one's own words, unless it came in a close.
    return this.end?.closeReason === ours.end?.closeReason && this.longLengthAt === null && !isBroken(this.textInHand);
  }
}

/** Where `ws` is meant to differ. */
export const WS_DIFFERENCES: readonly Difference<OurOutcome, WsOutcome>[] = [
  {
    id: 'text judged at its end',
    peer: 'judges a text once its last fragment is whole',
    we: 'fail with 1007 on the byte that no text can go on with',
    because: 'nothing more is kept of a text that is already lost; RFC 6455, section 8.1, leaves the moment open',
    explains: (ours, theirs) =>
      failedWith(ours, CloseCode.INVALID_PAYLOAD, 'text is not UTF-8') &&
      theirs.startsWith(ours) &&
      [...theirs.eventsFrom(ours.length)].every(({ what }) => what === Event.PING || what === Event.PONG) &&
      (isBroken(theirs.textInHand) || theirs.end?.closeCode === CloseCode.INVALID_PAYLOAD),
  },
  {
    id: 'length not minimal',
    peer: 'takes a length written in more bytes than it needs',
    we: 'fail with 1002',
    because: '"the minimal number of bytes MUST be used to encode the length" (RFC 6455, section 5.2)',
    explains: (ours, theirs) =>
      failedWith(ours, CloseCode.PROTOCOL_ERROR, 'length is not minimal') &&
      theirs.startsWith(ours) &&
      theirs.longLengthAt === ours.length,
  },
  {
    id: 'top bit of a length',
    peer: 'fails with 1009 for a length of 2^63 or more, as for any that is too large',
    we: 'fail with 1002',
    because: '"the most significant bit MUST be 0" (RFC 6455, section 5.2): it is no length at all',
    explains: (ours, theirs) =>
      failedWith(ours, CloseCode.PROTOCOL_ERROR, 'length has its top bit set') &&
      theirs.hasSameEvents(ours) &&
      theirs.failed &&
      theirs.topBit,
  },
  {
    id: 'too large and out of order',
    peer: 'fails with 1002 for a frame out of order before it looks at the length',
    we: 'fail with 1009 where the length is above 2^53 - 1, before the order is looked at',
    because: 'a header is judged in itself first; either code is true of such a frame',
    explains: (ours, theirs) =>
      failedWith(ours, CloseCode.TOO_LARGE, 'frame is too large') &&
      theirs.hasSameEvents(ours) &&
      theirs.failed &&
      theirs.end?.closeCode === CloseCode.PROTOCOL_ERROR,
  },
  {
    id: 'one fragment too many',
    peer: 'counts a fragment once its payload is whole, and fails with 1009 where that would also be too large',
    we: 'count it at its header, and fail with 1008',
    because: 'no payload should be waited for that will be refused',
    explains: (ours, theirs) =>
      failedWith(ours, CloseCode.POLICY_VIOLATION, 'too many fragments') &&
      theirs.hasSameEvents(ours) &&
      theirs.fragmentsUsedUp &&
      (theirs.end === null || theirs.end.closeCode === CloseCode.TOO_LARGE),
  },
];

/** Judged apart, for what explains it is only seen once the header is whole. */
export const HEADER_NOT_WHOLE: DifferenceText = {
  id: 'header not whole yet',
  peer: 'judges the first two bytes of a header, and its length, as they come, and a close by its length',
  we: 'judge a header once it is whole, and a close once its payload is',
  because: 'decoding and judging stay apart; the few bytes that are missing cost nobody anything',
};

function failedWith(ours: OurOutcome, closeCode: number, closeReason: string): boolean {
  return ours.failed && ours.end?.closeCode === closeCode && ours.end.closeReason === closeReason;
}

/** A third opinion: no continuation makes a text of it. */
function isBroken(text: Buffer): boolean {
  if (text.length === 0) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(text, { stream: true });
    return false;
  } catch {
    return true;
  }
}
