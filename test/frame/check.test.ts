import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkHeader, isControl } from '../../src/frame/check.ts';
import { decodeHeader, emptyHeader } from '../../src/frame/header.ts';
import { CloseCode, ProtocolError, type Side } from '../../src/frame/vocabulary.ts';
import { MASKING_KEY, type RawFrame, rawFrame } from '../support/raw-frame.ts';

const SIDES: Side[] = ['server', 'client'];
const KNOWN = [0, 1, 2, 8, 9, 10];

/** The peer of `side` sends this frame's header; what does the check say? */
function check(side: Side, frame: RawFrame): string {
  const header = emptyHeader();
  decodeHeader(rawFrame({ maskingKey: side === 'server' ? MASKING_KEY : undefined, ...frame }), 0, header);
  try {
    checkHeader(header, side);
    return 'legal';
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return `${error.closeCode} ${error.message}`;
  }
}

for (const side of SIDES) {
  describe(`checkHeader, read by a ${side}`, () => {
    for (let opcode = 0; opcode < 16; opcode++) {
      const expected = KNOWN.includes(opcode) ? 'legal' : `${CloseCode.PROTOCOL_ERROR} unknown opcode`;
      it(`5.2: opcode ${opcode} is ${expected}`, () => {
        assert.equal(check(side, { opcode }), expected);
      });
    }

    it('5.1: masked toward a server, unmasked toward a client', () => {
      for (const opcode of KNOWN) {
        const wrong = { opcode, maskingKey: side === 'server' ? undefined : MASKING_KEY };
        assert.equal(check(side, wrong), `1002 frame is ${side === 'server' ? 'not masked' : 'masked'}`);
      }
    });

    it('5.4: data frames may be fragments', () => {
      for (const opcode of [0, 1, 2]) assert.equal(check(side, { opcode, fin: false }), 'legal');
    });

    it('5.5: control frames may not', () => {
      for (const opcode of [8, 9, 10]) {
        assert.equal(check(side, { opcode, fin: false }), '1002 control frame is fragmented');
      }
    });

    it('5.5: a control frame has at most 125 bytes', () => {
      for (const opcode of [8, 9, 10]) {
        assert.equal(check(side, { opcode, announcedLength: 125n }), 'legal');
        for (const announcedLength of [126n, 65536n, 2n ** 63n]) {
          assert.equal(check(side, { opcode, announcedLength }), '1002 control frame is too long');
        }
      }
    });

    it('5.2: the length is written in the shortest form', () => {
      const LENGTHS: [announcedLength: bigint, lengthForm: 7 | 16 | 64, expected: string][] = [
        [125n, 7, 'legal'],
        [0n, 16, '1002 length is not minimal'],
        [125n, 16, '1002 length is not minimal'],
        [126n, 16, 'legal'],
        [65535n, 16, 'legal'],
        [0n, 64, '1002 length is not minimal'],
        [125n, 64, '1002 length is not minimal'],
        [65535n, 64, '1002 length is not minimal'],
        [65536n, 64, 'legal'],
        [2n ** 53n - 1n, 64, 'legal'],
        [2n ** 53n, 64, '1009 frame is too large'],
        [2n ** 63n - 1n, 64, '1009 frame is too large'],
        [2n ** 63n, 64, '1002 length has its top bit set'],
        [2n ** 64n - 1n, 64, '1002 length has its top bit set'],
      ];
      for (const [announcedLength, lengthForm, expected] of LENGTHS) {
        assert.equal(check(side, { opcode: 2, announcedLength, lengthForm }), expected, `${announcedLength}`);
      }
      assert.equal(check(side, { opcode: 9, announcedLength: 5n, lengthForm: 16 }), '1002 length is not minimal');
    });

    it('ignores reserved bits, whose meaning depends on the negotiation', () => {
      for (let rsv = 0; rsv < 8; rsv++) assert.equal(check(side, { opcode: 1, rsv }), 'legal');
    });
  });
}

describe('isControl', () => {
  it('5.5: "identified by opcodes where the most significant bit of the opcode is 1"', () => {
    for (let opcode = 0; opcode < 16; opcode++) assert.equal(isControl(opcode), opcode >= 8);
  });
});
