/**
 * Frames for tests, legal or not, built and read apart from src/frame/ so that neither can hide a fault of the other.
 */

export interface RawFrame {
  opcode: number;
  payload?: Buffer | string;
  /** Default true. */
  fin?: boolean;
  /** The three reserved bits as a number: RSV1 is 4, RSV2 2, RSV3 1. Default 0. */
  rsv?: number;
  /** Four bytes; without it the frame is not masked. */
  maskingKey?: Buffer | undefined;
  /** How the length is written. Default: the shortest form. */
  lengthForm?: 7 | 16 | 64;
  /** The length to announce. Default: the payload's. */
  announcedLength?: bigint;
}

/** A masking key whose four bytes differ, for frames toward a server. */
export const MASKING_KEY = Buffer.from('37fa213d', 'hex');

export function rawFrame(frame: RawFrame): Buffer {
  const { opcode, fin = true, rsv = 0, maskingKey } = frame;
  const payload = Buffer.from(frame.payload ?? '');
  const length = frame.announcedLength ?? BigInt(payload.length);
  const form = frame.lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const mask = maskingKey === undefined ? 0 : 0x80;
  const extended = Buffer.alloc(form === 7 ? 0 : form / 8);
  if (form === 16) extended.writeUInt16BE(Number(length));
  if (form === 64) extended.writeBigUInt64BE(length);
  const seven = form === 7 ? Number(length) : form === 16 ? 126 : 127;
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, mask | seven]),
    extended,
    maskingKey ?? Buffer.alloc(0),
    maskingKey === undefined ? payload : masked(payload, maskingKey),
  ]);
}

/** A copy of the payload, byte by byte as section 5.3 of RFC 6455 words it. */
export function masked(payload: Buffer, maskingKey: Buffer): Buffer {
  const out = Buffer.alloc(payload.length);
  for (let i = 0; i < payload.length; i++) out[i] = (payload[i] as number) ^ (maskingKey[i % 4] as number);
  return out;
}

export interface ReadFrame {
  fin: boolean;
  rsv: number;
  opcode: number;
  masked: boolean;
  payload: Buffer;
}

/** @throws Error where the bytes do not end with a frame's end: what was written has to be whole frames */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes.readUInt8(at);
    const second = bytes.readUInt8(at + 1);
    at += 2;
    let length = second & 0x7f;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    const maskingKey = second & 0x80 ? bytes.subarray(at, at + 4) : null;
    if (maskingKey !== null) at += 4;
    if (at + length > bytes.length) throw new Error('bytes end inside a frame');
    const payload = bytes.subarray(at, at + length);
    at += length;
    frames.push({
      fin: (first & 0x80) !== 0,
      rsv: (first >> 4) & 7,
      opcode: first & 0x0f,
      masked: maskingKey !== null,
      payload: maskingKey === null ? Buffer.from(payload) : masked(payload, maskingKey),
    });
  }
  return frames;
}
