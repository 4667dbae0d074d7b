/** Class 4: reserved opcodes, data (3 to 7) and control (11 to 15), with and without payload and alone or in line. */
import { describe } from 'node:test';
import type { RawFrame } from '../support/raw-frame.ts';
import { type Case, fails, run } from './endpoint.ts';

const hello: RawFrame = { opcode: 1, payload: 'Hello, world!' };

function* reserved(group: string, opcodes: number[]): Generator<Case> {
  for (const [i, opcode] of opcodes.entries()) {
    const payload = 'reserved opcode payload';
    yield fails(`${group}.${i + 1}`, `opcode ${opcode}`, 1002, [{ opcode }]);
    yield fails(`${group}.${i + 1}`, `opcode ${opcode} with payload`, 1002, [{ opcode, payload }]);
    yield fails(
      `${group}.${i + 1}`,
      `opcode ${opcode} after a text, before a ping`,
      1002,
      [hello, { opcode }, { opcode: 9 }],
      [['text', 'Hello, world!']],
    );
    yield fails(
      `${group}.${i + 1}`,
      `opcode ${opcode} with payload after a text, before a ping`,
      1002,
      [hello, { opcode, payload }, { opcode: 9 }],
      [['text', 'Hello, world!']],
    );
    yield fails(`${group}.${i + 1}`, `opcode ${opcode} inside a message`, 1002, [
      { ...hello, fin: false },
      { opcode },
      { opcode: 0 },
    ]);
  }
}

describe('4 opcodes', () => {
  run(reserved('4.1', [3, 4, 5, 6, 7]));
  run(reserved('4.2', [11, 12, 13, 14, 15]));
});
