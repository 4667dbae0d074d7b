/**
 * Classes 9 and 10: large messages, in one frame and in many, in chunks of any size, with the limits raised. Whole messages
 * go up to the suite's 16 MiB; its 4 MiB in fragments and its 1,000 messages in a row are left to `CONFORMANCE=full`, for
 * they measure time.
 */
import { describe } from 'node:test';
import type { RawFrame } from '../support/raw-frame.ts';
import { type Case, passes, run } from './endpoint.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const FULL = process.env.CONFORMANCE === 'full';
const SIZES = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].filter(
  (size) => FULL || size <= MIB || size === 16 * MIB,
);
const FRAGMENTED_BYTES = FULL ? 4 * MIB : 256 * KIB;
const MESSAGES = FULL ? 1000 : 100;
const LIMITS = { maxMessageBytes: 16 * MIB, maxFragments: 2 ** 16 };

/** A message in fragments of so many bytes. */
function fragments(opcode: number, message: Buffer, fragmentBytes: number): RawFrame[] {
  const frames: RawFrame[] = [];
  for (let at = 0; at < message.length; at += fragmentBytes) {
    const payload = message.subarray(at, at + fragmentBytes);
    frames.push({ opcode: at === 0 ? opcode : 0, payload, fin: at + fragmentBytes >= message.length });
  }
  return frames;
}

const KINDS = [
  { opcode: 1, what: 'text', group: 0, filler: Buffer.from('BAsd7&jh23ü€😀') },
  { opcode: 2, what: 'binary', group: 1, filler: Buffer.from('00fe23fa807ff0', 'hex') },
] as const;

function* sizes(): Generator<Case> {
  for (const { opcode, what, group, filler } of KINDS) {
    for (const [i, length] of SIZES.entries()) {
      const payload = whole(filler, length);
      yield passes(`9.${1 + group}.${i + 1}`, `${what} of ${length} bytes`, [{ opcode, payload }], [[what, payload]]);
    }
    const message = whole(filler, FRAGMENTED_BYTES);
    for (const [i, size] of [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].entries()) {
      if (size > FRAGMENTED_BYTES) continue;
      const frames = fragments(opcode, message, size);
      yield passes(`9.${3 + group}.${i + 1}`, `${what} in fragments of ${size} bytes`, frames, [[what, message]]);
    }
    for (const [i, length] of [0, 16, 64, 256, KIB, 4 * KIB].entries()) {
      const payload = whole(filler, length);
      yield passes(
        `9.${7 + group}.${i + 1}`,
        `${MESSAGES} times ${what} of ${length} bytes`,
        Array(MESSAGES).fill({ opcode, payload }),
        Array(MESSAGES).fill([what, payload]),
      );
    }
  }
  const text = Buffer.alloc(64 * KIB, '*');
  yield passes('10.1.1', 'text of 64 KiB in fragments of 1,300 bytes', fragments(1, text, 1300), [['text', text]]);
}

/** That many bytes of the filler, never ending inside a code point. */
function whole(filler: Buffer, length: number): Buffer {
  const bytes = Buffer.alloc(length, '.');
  for (let at = 0; at + filler.length <= length; at += filler.length) filler.copy(bytes, at);
  return bytes;
}

describe('9 and 10 sizes (9.5 and 9.6, writes of 64 bytes and more, are the chopped runs of 9.1 and 9.2)', () => {
  run(sizes(), LIMITS);
});
