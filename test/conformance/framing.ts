/** Class 1: messages in one frame, on both sides of every length form. */
import { describe } from 'node:test';
import { type Case, passes, run } from './endpoint.ts';

const LENGTHS = [0, 125, 126, 127, 128, 65535, 65536];

describe('1 framing', () => {
  run(
    LENGTHS.map((length, i): Case => {
      const text = '*'.repeat(length);
      return passes(`1.1.${i + 1}`, `text of ${length} bytes`, [{ opcode: 1, payload: text }], [['text', text]]);
    }),
  );
  run(
    LENGTHS.map((length, i): Case => {
      const payload = Buffer.alloc(length, 0xfe);
      return passes(`1.2.${i + 1}`, `binary of ${length} bytes`, [{ opcode: 2, payload }], [['binary', payload]]);
    }),
  );
});
