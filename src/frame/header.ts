/**
 * The frame header on the wire (RFC 6455, section 5.2): bytes ⇄ FrameHeader. check.ts checks whether it is legal.
 *
 *   0               1               2 … 3 / 2 … 9      then, if masked
 *  +-+-+-+-+-------+-+-------------+------------------+-----------------+
 *  |F|R|R|R| opcode|M| length (7)  | extended length  | masking key     |
 *  |I|S|S|S|  (4)  |A|             | 16 bits if 126   | 32 bits         |
 *  |N|V|V|V|       |S|             | 64 bits if 127   |                 |
 *  | |1|2|3|       |K|             |                  |                 |
 *  +-+-+-+-+-------+-+-------------+------------------+-----------------+
 */

export const FIN = 0x80;
export const RSV1 = 0x40;
const RSV = 0x70;
const OPCODE = 0x0f;
const MASKED = 0x80;
const LENGTH = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export interface FrameHeader {
  fin: boolean;
  /** The reserved bits, in their places in the first byte: RSV1 is 0x40, RSV2 is 0x20, RSV3 is 0x10. */
  rsv: number;
  /** Four bits, not yet known to be an Opcode. */
  opcode: number;
  masked: boolean;
  /** In bytes. Above Number.MAX_SAFE_INTEGER, which `checkHeader` refuses, the low 32 bits are dropped. */
  payloadLength: number;
  /** The four bytes of the key, the first in the lowest bits; 0 if the frame is not masked. */
  maskingKey: number;
  /** The header's own length in bytes, 2 to 14. */
  headerLength: number;
}

export function emptyHeader(): FrameHeader {
  return { fin: false, rsv: 0, opcode: 0, masked: false, payloadLength: 0, maskingKey: 0, headerLength: 0 };
}

/** The length of a header in bytes, derived from its second byte. */
export function headerLengthOf(secondByte: number): number {
  const length = secondByte & LENGTH;
  const extended = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0;
  return 2 + extended + (secondByte & MASKED ? 4 : 0);
}

/**
 * Decodes the header that starts at `offset` into `into`, which is reused, so a stream of small frames allocates
 * nothing. `bytes` must contain the whole header, whose length is `headerLengthOf` its second byte.
 */
export function decodeHeader(bytes: Buffer, offset: number, into: FrameHeader): void {
  const first = bytes[offset] as number;
  const second = bytes[offset + 1] as number;
  const length = second & LENGTH;
  let at = offset + 2;
  into.fin = (first & FIN) !== 0;
  into.rsv = first & RSV;
  into.opcode = first & OPCODE;
  into.masked = (second & MASKED) !== 0;
  if (length < LENGTH_16) {
    into.payloadLength = length;
  } else if (length === LENGTH_16) {
    into.payloadLength = bytes.readUInt16BE(at);
    at += 2;
  } else {
    const high = bytes.readUInt32BE(at);
    // The low bits are dropped and not rounded, because 2^63 - 1 would round up to a length with its top bit set.
    const low = high < 2 ** 21 ? bytes.readUInt32BE(at + 4) : 0;
    into.payloadLength = high * 2 ** 32 + low;
    at += 8;
  }
  into.maskingKey = into.masked ? bytes.readInt32LE(at) : 0;
  into.headerLength = headerLengthOf(second);
}

/** The length in bytes of the shortest header for a payload, which section 5.2 demands. */
export function encodedHeaderLength(payloadLength: number, masked: boolean): number {
  const extended = payloadLength < LENGTH_16 ? 0 : payloadLength < 2 ** 16 ? 2 : 8;
  return 2 + extended + (masked ? 4 : 0);
}

/**
 * Writes a header into `target` at `start`.
 *
 * @param firstByte FIN, reserved bits and opcode, as on the wire
 * @param maskingKey the key, with its first byte in the lowest bits; null for an unmasked frame
 * @returns the start of the payload
 */
export function encodeHeader(
  target: Buffer,
  firstByte: number,
  payloadLength: number,
  maskingKey: number | null,
  start = 0,
): number {
  const maskBit = maskingKey === null ? 0 : MASKED;
  let at = start + 2;
  target[start] = firstByte;
  if (payloadLength < LENGTH_16) {
    target[start + 1] = maskBit | payloadLength;
  } else if (payloadLength < 2 ** 16) {
    target[start + 1] = maskBit | LENGTH_16;
    target.writeUInt16BE(payloadLength, at);
    at += 2;
  } else {
    target[start + 1] = maskBit | LENGTH_64;
    target.writeUInt32BE(Math.floor(payloadLength / 2 ** 32), at);
    target.writeUInt32BE(payloadLength >>> 0, at + 4);
    at += 8;
  }
  if (maskingKey !== null) {
    target.writeInt32LE(maskingKey, at);
    at += 4;
  }
  return at;
}
