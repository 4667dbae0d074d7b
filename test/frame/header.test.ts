import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeHeader,
  emptyHeader,
  encodedHeaderLength,
  encodeHeader,
  FIN,
  type FrameHeader,
  headerLengthOf,
  RSV1,
} from '../../src/frame/header.ts';
import { MAX_HEADER_BYTES, Opcode } from '../../src/frame/vocabulary.ts';
import { MASKING_KEY, rawFrame } from '../support/raw-frame.ts';

function decode(hex: string, offset = 0): FrameHeader {
  const header = emptyHeader();
  decodeHeader(Buffer.from(hex, 'hex'), offset, header);
  return header;
}

/** The examples of section 5.7, and one for each form that it leaves out. */
const VECTORS: [what: string, hex: string, header: FrameHeader][] = [
  [
    'a single-frame unmasked text message',
    '8105',
    { fin: true, rsv: 0, opcode: 1, masked: false, payloadLength: 5, maskingKey: 0, headerLength: 2 },
  ],
  [
    'a single-frame masked text message',
    '818537fa213d',
    { fin: true, rsv: 0, opcode: 1, masked: true, payloadLength: 5, maskingKey: 0x3d21fa37, headerLength: 6 },
  ],
  [
    'a fragmented unmasked text message, first fragment',
    '0103',
    { fin: false, rsv: 0, opcode: 1, masked: false, payloadLength: 3, maskingKey: 0, headerLength: 2 },
  ],
  [
    'a fragmented unmasked text message, last fragment',
    '8002',
    { fin: true, rsv: 0, opcode: 0, masked: false, payloadLength: 2, maskingKey: 0, headerLength: 2 },
  ],
  [
    'an unmasked ping request',
    '8905',
    { fin: true, rsv: 0, opcode: 9, masked: false, payloadLength: 5, maskingKey: 0, headerLength: 2 },
  ],
  [
    'a masked pong response',
    '8a8537fa213d',
    { fin: true, rsv: 0, opcode: 10, masked: true, payloadLength: 5, maskingKey: 0x3d21fa37, headerLength: 6 },
  ],
  [
    '256 bytes of binary, unmasked',
    '827e0100',
    { fin: true, rsv: 0, opcode: 2, masked: false, payloadLength: 256, maskingKey: 0, headerLength: 4 },
  ],
  [
    '64 KiB of binary, unmasked',
    '827f0000000000010000',
    { fin: true, rsv: 0, opcode: 2, masked: false, payloadLength: 65536, maskingKey: 0, headerLength: 10 },
  ],
  [
    'the longest header',
    '82ff0000000100000002ffffffff',
    { fin: true, rsv: 0, opcode: 2, masked: true, payloadLength: 2 ** 32 + 2, maskingKey: -1, headerLength: 14 },
  ],
  [
    'every reserved bit, a reserved opcode, a length that is not minimal: nothing is judged here',
    '7f7e0000',
    { fin: false, rsv: 0x70, opcode: 15, masked: false, payloadLength: 0, maskingKey: 0, headerLength: 4 },
  ],
];

describe('decodeHeader (RFC 6455, 5.2)', () => {
  for (const [what, hex, header] of VECTORS) {
    it(`5.7: ${what}`, () => {
      assert.deepEqual(decode(hex), header);
      assert.deepEqual(decode(`ffff${hex}ffff`, 2), header, 'at an offset');
    });
  }

  it('leaves nothing of the header before in the one it reuses', () => {
    const header = emptyHeader();
    decodeHeader(Buffer.from('f2ff0000000100000002ffffffff', 'hex'), 0, header);
    decodeHeader(Buffer.from('0103', 'hex'), 0, header);
    assert.deepEqual(header, decode('0103'));
  });

  it('tells RSV1, RSV2 and RSV3 apart', () => {
    assert.deepEqual(
      [4, 2, 1].map((rsv) => decode(rawFrame({ opcode: 1, rsv }).toString('hex')).rsv),
      [RSV1, 0x20, 0x10],
    );
  });

  // Both sides of every limit; beyond 2^53 a number cannot hold the length, and need not, but 2^63 has to be told.
  const LENGTHS: [announced: bigint, payloadLength: number][] = [
    [0n, 0],
    [1n, 1],
    [125n, 125],
    [126n, 126],
    [127n, 127],
    [65535n, 65535],
    [65536n, 65536],
    [2n ** 32n - 1n, 2 ** 32 - 1],
    [2n ** 32n, 2 ** 32],
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, 2 ** 53],
    [2n ** 53n + 1n, 2 ** 53],
    [2n ** 63n - 1n, 2 ** 63 - 2 ** 32],
    [2n ** 63n, 2 ** 63],
    [2n ** 64n - 1n, 2 ** 64 - 2 ** 32],
  ];
  for (const [announced, payloadLength] of LENGTHS) {
    for (const maskingKey of [undefined, MASKING_KEY]) {
      it(`reads a length of ${announced}, ${maskingKey ? 'masked' : 'unmasked'}`, () => {
        const bytes = rawFrame({ opcode: 2, announcedLength: announced, maskingKey });
        const header = decode(bytes.toString('hex'));
        assert.equal(header.payloadLength, payloadLength);
        assert.equal(header.headerLength, bytes.length);
        assert.equal(header.maskingKey, maskingKey?.readInt32LE(0) ?? 0);
      });
    }
  }
});

describe('headerLengthOf', () => {
  it('is told by the second byte alone', () => {
    for (let second = 0; second < 256; second++) {
      const length = second & 0x7f;
      const extended = length < 126 ? 0 : length === 126 ? 2 : 8;
      assert.equal(headerLengthOf(second), 2 + extended + (second >= 128 ? 4 : 0));
    }
    assert.equal(headerLengthOf(0xff), MAX_HEADER_BYTES);
  });
});

describe('encodeHeader (RFC 6455, 5.2)', () => {
  for (const length of [0, 1, 125, 126, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    for (const maskingKey of [undefined, MASKING_KEY]) {
      it(`writes ${length} in the shortest form, ${maskingKey ? 'masked' : 'unmasked'}`, () => {
        const expected = rawFrame({ opcode: Opcode.BINARY, announcedLength: BigInt(length), maskingKey });
        const target = Buffer.alloc(MAX_HEADER_BYTES);
        const written = encodeHeader(target, FIN | Opcode.BINARY, length, maskingKey?.readInt32LE(0) ?? null);
        assert.equal(target.toString('hex', 0, written), expected.toString('hex'));
        assert.equal(encodedHeaderLength(length, maskingKey !== undefined), written);
      });
    }
  }

  it('writes a masking key of zero, which is a key like any other', () => {
    const target = Buffer.alloc(MAX_HEADER_BYTES, 0xff);
    assert.equal(encodeHeader(target, FIN | Opcode.TEXT, 1, 0), 6);
    assert.equal(target.toString('hex', 0, 6), '818100000000');
  });
});
