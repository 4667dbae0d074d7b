/** Class 2: pings are answered in order with their payload, unsolicited pongs are not. */
import { describe } from 'node:test';
import { fails, passes, run } from './endpoint.ts';

const binary = Buffer.from('00fffefdfcfb00ff', 'hex');
const longest = Buffer.alloc(125, 0xfe);
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`);

describe('2 pings and pongs', () => {
  run([
    passes('2.1', 'ping without payload', [{ opcode: 9 }], [['pong', '']]),
    passes('2.2', 'ping with text', [{ opcode: 9, payload: 'Hello, world!' }], [['pong', 'Hello, world!']]),
    passes('2.3', 'ping with bytes that are no text', [{ opcode: 9, payload: binary }], [['pong', binary]]),
    passes('2.4, 2.6', 'ping of 125 bytes', [{ opcode: 9, payload: longest }], [['pong', longest]]),
    fails('2.5', 'ping of 126 bytes', 1002, [{ opcode: 9, payload: Buffer.alloc(126, 0xfe) }]),
    passes('2.7', 'unsolicited pong without payload', [{ opcode: 10 }], []),
    passes('2.8', 'unsolicited pong with payload', [{ opcode: 10, payload: 'unsolicited' }], []),
    passes(
      '2.9',
      'unsolicited pong, then a ping',
      [
        { opcode: 10, payload: 'unsolicited' },
        { opcode: 9, payload: 'our ping' },
      ],
      [['pong', 'our ping']],
    ),
    passes(
      '2.10, 2.11',
      'ten pings',
      ten.map((payload) => ({ opcode: 9, payload })),
      ten.map((payload) => ['pong', payload]),
    ),
  ]);
});
