/** Class 5: fragments in and out of order, control frames between them and fragmented themselves. */
import { describe } from 'node:test';
import type { RawFrame } from '../support/raw-frame.ts';
import { fails, passes, run } from './endpoint.ts';

const first: RawFrame = { opcode: 1, payload: 'fragment1', fin: false };
const last: RawFrame = { opcode: 0, payload: 'fragment2' };
const ping: RawFrame = { opcode: 9, payload: 'ping payload' };
const strayFinal: RawFrame = { opcode: 0, payload: 'non-continuation payload' };
const stray: RawFrame = { ...strayFinal, fin: false };
const hello: RawFrame = { opcode: 1, payload: 'Hello, world!' };

function middle(payload: string): RawFrame {
  return { opcode: 0, payload, fin: false };
}

describe('5 fragmentation', () => {
  run([
    fails('5.1', 'a ping in two fragments', 1002, [{ opcode: 9, payload: 'fragment1', fin: false }, last]),
    fails('5.2', 'a pong in two fragments', 1002, [{ opcode: 10, payload: 'fragment1', fin: false }, last]),
    passes('5.3 to 5.5', 'a text in two fragments', [first, last], [['text', 'fragment1fragment2']]),
    passes(
      '5.6 to 5.8',
      'a text in two fragments, a ping between them',
      [first, ping, last],
      [
        ['pong', 'ping payload'],
        ['text', 'fragment1fragment2'],
      ],
    ),
    fails('5.9 to 5.11', 'a final continuation of nothing, then a text', 1002, [strayFinal, hello]),
    fails('5.12 to 5.14', 'a continuation of nothing, then a text', 1002, [stray, hello]),
    fails(
      '5.15',
      'a text in two fragments, a continuation of nothing, a text',
      1002,
      [first, last, stray, hello],
      [['text', 'fragment1fragment2']],
    ),
    fails('5.16', 'twice: a continuation of nothing, a text in two fragments', 1002, [
      stray,
      first,
      last,
      stray,
      first,
      last,
    ]),
    fails('5.17', 'twice: a final continuation of nothing, a text in two fragments', 1002, [
      strayFinal,
      first,
      last,
      strayFinal,
      first,
      last,
    ]),
    fails('5.18', 'a text in two fragments that both say text', 1002, [first, { opcode: 1, payload: 'fragment2' }]),
    passes(
      '5.19, 5.20',
      'a text in five fragments, pings after the second and the fourth',
      [
        first,
        middle('fragment2'),
        { opcode: 9, payload: 'pongme 1!' },
        middle('fragment3'),
        middle('fragment4'),
        { opcode: 9, payload: 'pongme 2!' },
        { opcode: 0, payload: 'fragment5' },
      ],
      [
        ['pong', 'pongme 1!'],
        ['pong', 'pongme 2!'],
        ['text', 'fragment1fragment2fragment3fragment4fragment5'],
      ],
    ),
  ]);
});
