/** Class 7: the closing handshake, begun by the peer; the structure, codes and reasons of close frames. */
import { describe } from 'node:test';
import type { RawFrame } from '../support/raw-frame.ts';
import { type Case, closePayload, fails, passes, run } from './endpoint.ts';

const hello: RawFrame = { opcode: 1, payload: 'Hello World!' };

function close(payload: Buffer | string = closePayload(1000)): RawFrame {
  return { opcode: 8, payload };
}

/** A close that is answered with the code it carries, or with an empty one; nothing after it is. */
function answered(
  id: string,
  what: string,
  closeCode: number,
  frames: RawFrame[],
  replies: Case['replies'] = [],
): Case {
  return { id, what, frames, replies: [...replies, ['close', closeCode]] };
}

const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const REGISTERED_SINCE = [1012, 1013, 1014];
const INVALID = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
/** Above 4999 the RFC says nothing; we take them for what they are, undefined. */
const BEYOND = [5000, 65535];

const notUtf8 = Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex');
const long = '*'.repeat(256 * 1024);

describe('7 closing', () => {
  run([
    passes('7.1.1', 'a text, then a close', [hello], [['text', 'Hello World!']]),
    answered('7.1.2', 'two closes', 1000, [close(), close()]),
    answered('7.1.3', 'a ping after the close', 1000, [close(), { opcode: 9 }]),
    answered('7.1.4', 'a text after the close', 1000, [close(), hello]),
    answered('7.1.5', 'a close inside a message', 1000, [{ ...hello, fin: false }, close(), { opcode: 0 }]),
    answered(
      '7.1.6',
      'a text of 256 KiB, a close, a ping',
      1000,
      [{ opcode: 1, payload: long }, close(), { opcode: 9 }],
      [['text', long]],
    ),
    answered('7.1.+', 'what is illegal, after the close', 1000, [close(), { opcode: 3, rsv: 7, fin: false }]),

    answered('7.3.1', 'no payload', 0, [close('')]),
    fails('7.3.2', 'a payload of one byte', 1002, [close('a')]),
    answered('7.3.3', 'a code alone', 1000, [close()]),
    answered('7.3.4', 'a code and a reason', 1000, [close(closePayload(1000, 'Hello World!'))]),
    answered('7.3.5', 'a reason of 123 bytes', 1000, [close(closePayload(1000, '*'.repeat(123)))]),
    fails('7.3.6', 'a reason of 124 bytes', 1002, [close(closePayload(1000, '*'.repeat(124)))]),

    fails('7.5.1', 'a reason that is not UTF-8', 1007, [close(closePayload(1000, notUtf8))]),
  ]);
  run(VALID.map((code, i) => answered(`7.7.${i + 1}`, `code ${code}`, code, [close(closePayload(code))])));
  run(REGISTERED_SINCE.map((code) => answered('7.7.+', `code ${code}`, code, [close(closePayload(code))])));
  run(INVALID.map((code, i) => fails(`7.9.${i + 1}`, `code ${code}`, 1002, [close(closePayload(code))])));
  run([fails('7.9.+', 'code 1015', 1002, [close(closePayload(1015))])]);
  run(BEYOND.map((code, i) => fails(`7.13.${i + 1}`, `code ${code}`, 1002, [close(closePayload(code))])));
});
