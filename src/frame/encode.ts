/**
 * Frames to bytes: header and payload in one Buffer, for a write costs far more than copying a small payload.
 */
import { isControl } from './check.ts';
import { encodeClose } from './close.ts';
import { encodedHeaderLength, encodeHeader, FIN } from './header.ts';
import { Masker, randomMaskingKey } from './mask.ts';
import { MAX_CONTROL_PAYLOAD_BYTES, Opcode, type Side } from './vocabulary.ts';

const masker = new Masker();

/** Where frames are put together. */
export interface Allocator {
  /** @returns room for a frame of so many bytes, with anything in it; it is filled and written before more is asked for */
  allocate(length: number): Buffer;
}

const POOL: Allocator = { allocate: Buffer.allocUnsafe };

/**
 * One frame as `side` must send it: unmasked from a server, masked with a fresh key from a client. The payload is
 * copied, never changed.
 *
 * @param fin false for a fragment that another continues
 * @throws RangeError for a control frame over 125 bytes or without `fin`
 */
export function encodeFrame(
  side: Side,
  opcode: Opcode,
  payload: Buffer,
  fin = true,
  allocator: Allocator = POOL,
): Buffer {
  // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented." (5.5)
  if (isControl(opcode) && (payload.length > MAX_CONTROL_PAYLOAD_BYTES || !fin)) {
    throw new RangeError('a control frame is at most 125 bytes, in one piece');
  }
  const maskingKey = side === 'client' ? randomMaskingKey() : null;
  const headerLength = encodedHeaderLength(payload.length, maskingKey !== null);
  const frame = allocator.allocate(headerLength + payload.length);
  encodeHeader(frame, (fin ? FIN : 0) | opcode, payload.length, maskingKey);
  frame.set(payload, headerLength);
  return finish(frame, headerLength, maskingKey);
}

/** A text message in one frame; lone surrogates become U+FFFD, so that what is sent is UTF-8. */
export function encodeText(side: Side, text: string, allocator: Allocator = POOL): Buffer {
  const payloadLength = Buffer.byteLength(text);
  const maskingKey = side === 'client' ? randomMaskingKey() : null;
  const headerLength = encodedHeaderLength(payloadLength, maskingKey !== null);
  const frame = allocator.allocate(headerLength + payloadLength);
  encodeHeader(frame, FIN | Opcode.TEXT, payloadLength, maskingKey);
  // All ASCII, as nearly everything here is: the cheaper copy gives the same bytes.
  frame.write(text, headerLength, payloadLength === text.length ? 'latin1' : 'utf8');
  return finish(frame, headerLength, maskingKey);
}

/** @throws RangeError as `encodeClose` */
export function encodeCloseFrame(side: Side, closeCode: number, closeReason = '', allocator: Allocator = POOL): Buffer {
  return encodeFrame(side, Opcode.CLOSE, encodeClose(closeCode, closeReason), true, allocator);
}

function finish(frame: Buffer, headerLength: number, maskingKey: number | null): Buffer {
  if (maskingKey !== null) {
    masker.apply(frame, headerLength, frame.length, maskingKey);
    masker.release();
  }
  return frame;
}
