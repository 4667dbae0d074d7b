/** Class 3: a reserved bit fails the connection, for no extension is negotiated that would give it a meaning. */
import { describe } from 'node:test';
import type { RawFrame } from '../support/raw-frame.ts';
import { closePayload, fails, run } from './endpoint.ts';

const hello: RawFrame = { opcode: 1, payload: 'Hello, world!' };

describe('3 reserved bits', () => {
  run([
    fails('3.1', 'a text with RSV3', 1002, [{ ...hello, rsv: 1 }]),
    fails(
      '3.2',
      'a text, one with RSV2, a ping',
      1002,
      [hello, { ...hello, rsv: 2 }, { opcode: 9 }],
      [['text', 'Hello, world!']],
    ),
    fails(
      '3.3',
      'a text, one with RSV2 and RSV3, a ping',
      1002,
      [hello, { ...hello, rsv: 3 }, { opcode: 9 }],
      [['text', 'Hello, world!']],
    ),
    fails(
      '3.4',
      'a text, one with RSV1, a ping',
      1002,
      [hello, { ...hello, rsv: 4 }, { opcode: 9 }],
      [['text', 'Hello, world!']],
    ),
    fails('3.5', 'a binary message with RSV1 and RSV3', 1002, [{ opcode: 2, payload: 'bytes', rsv: 5 }]),
    fails('3.6', 'a ping with RSV1 and RSV2', 1002, [{ opcode: 9, payload: 'ping', rsv: 6 }]),
    fails('3.7', 'a close with all three', 1002, [{ opcode: 8, payload: closePayload(1000), rsv: 7 }]),
    fails('3.+', 'a continuation with RSV1', 1002, [
      { ...hello, fin: false },
      { opcode: 0, rsv: 4 },
    ]),
  ]);
});
