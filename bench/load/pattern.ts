/** The written messages, and the contents of one write. They are the same for every subject, and checked on arrival. */
import { encodeFrame } from '../../src/frame/encode.ts';
import type { DataOpcode } from '../../src/frame/message.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';

/** The most writes of one end in a row before the next has its turn, in a flood. The choice is the same for all. */
export const WRITES_A_TURN = 32;

export interface WritePattern {
  /** Sizes of the messages, in turn. */
  payloadBytes: readonly number[];
  /** So many messages, each a frame of its own, leave in one write. */
  messagesPerWrite: number;
  /** Binary, unless said otherwise. */
  text?: boolean;
  /** Each message says when it was written (stamp.ts). For agents, whose frames are not masked, one message a write. */
  stamped?: boolean;
  /**
   * Arrives as the same bytes that were written, and is compared chunk by chunk instead of parsed: for floods, whose
   * parsing costs the load more than the server. For agents, whose frames are not masked.
   */
  verbatim?: boolean;
}

/** The messages of a pattern, in turn and over again. Both ends make the same one of the same pattern. */
export interface Cycle {
  readonly opcode: DataOpcode;
  readonly payloads: readonly Buffer[];
  readonly messagesPerWrite: number;
  readonly stamped: boolean;
  readonly verbatim: boolean;
}

/** At least so many writes differ from each other, so that one lost or made twice is seen. */
const MIN_WRITES = 4;

export function cycleOf(pattern: WritePattern): Cycle {
  const { payloadBytes, messagesPerWrite, text = false, stamped = false, verbatim = false } = pattern;
  const messages = leastCommonMultiple(payloadBytes.length, messagesPerWrite);
  const length = messages * Math.ceil((MIN_WRITES * messagesPerWrite) / messages);
  const random = printable(Math.max(...payloadBytes) + length);
  // Each begins one byte on, so that no two are the same.
  const payloads = Array.from({ length }, (_, i) => {
    return random.subarray(i, i + (payloadBytes[i % payloadBytes.length] as number));
  });
  return { opcode: text ? Opcode.TEXT : Opcode.BINARY, payloads, messagesPerWrite, stamped, verbatim };
}

/** The writes of a cycle, in turn and over again, as `side` sends them. */
export function encodeWrites(side: Side, { opcode, payloads, messagesPerWrite }: Cycle): Buffer[] {
  const writes: Buffer[] = [];
  for (let at = 0; at < payloads.length; at += messagesPerWrite) {
    const frames = payloads.slice(at, at + messagesPerWrite).map((payload) => encodeFrame(side, opcode, payload));
    writes.push(Buffer.concat(frames));
  }
  return writes;
}

/** The same bytes in every process, all of them printable ASCII, so that they are text too. */
function printable(length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let i = 0, state = 1; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = 0x20 + ((state >>> 16) % 95);
  }
  return bytes;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
