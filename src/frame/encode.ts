/**
 * Frames → bytes. Header and payload go into one Buffer, because a write costs far more than a copy of a small payload.
 */
import { isControl } from './check.ts';
import { encodeClose } from './close.ts';
import { encodedHeaderLength, encodeHeader, FIN } from './header.ts';
import { Masker, randomMaskingKey } from './mask.ts';
import { MAX_CONTROL_PAYLOAD_BYTES, Opcode, type Side } from './vocabulary.ts';

const masker = new Masker();

/** The length of the whole frame, in bytes. */
export function frameLength(side: Side, payloadLength: number): number {
  return encodedHeaderLength(payloadLength, side === 'client') + payloadLength;
}

/**
 * Writes one frame into `target` at `at`: unmasked from a server, masked with a fresh key from a client. There must be
 * room for `frameLength` bytes. The payload is copied and not changed.
 *
 * @param fin false for a fragment that another continues
 * @throws RangeError for a control frame over 125 bytes or without `fin`
 */
export function putFrame(target: Buffer, at: number, side: Side, opcode: Opcode, payload: Buffer, fin = true): void {
  // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented." (5.5)
  if (isControl(opcode) && (payload.length > MAX_CONTROL_PAYLOAD_BYTES || !fin)) {
    throw new RangeError('a control frame is at most 125 bytes, in one piece');
  }
  const maskingKey = side === 'client' ? randomMaskingKey() : null;
  const start = encodeHeader(target, (fin ? FIN : 0) | opcode, payload.length, maskingKey, at);
  target.set(payload, start);
  mask(target, start, payload.length, maskingKey);
}

/** Writes a text message in one frame, like `putFrame`. @param payloadLength the length of the text in UTF-8 */
export function putText(target: Buffer, at: number, side: Side, text: string, payloadLength: number): void {
  const maskingKey = side === 'client' ? randomMaskingKey() : null;
  const start = encodeHeader(target, FIN | Opcode.TEXT, payloadLength, maskingKey, at);
  // Most texts here are ASCII, for which the cheaper copy writes the same bytes.
  target.write(text, start, payloadLength, payloadLength === text.length ? 'latin1' : 'utf8');
  mask(target, start, payloadLength, maskingKey);
}

/** Encodes one frame into a Buffer of its own. @throws RangeError see `putFrame` */
export function encodeFrame(side: Side, opcode: Opcode, payload: Buffer, fin = true): Buffer {
  const frame = Buffer.allocUnsafe(frameLength(side, payload.length));
  putFrame(frame, 0, side, opcode, payload, fin);
  return frame;
}

/** Encodes a text message in one frame. Lone surrogates become U+FFFD, so the payload is UTF-8. */
export function encodeText(side: Side, text: string): Buffer {
  const payloadLength = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(frameLength(side, payloadLength));
  putText(frame, 0, side, text, payloadLength);
  return frame;
}

/** @throws RangeError see `encodeClose` */
export function encodeCloseFrame(side: Side, closeCode: number, closeReason = ''): Buffer {
  return encodeFrame(side, Opcode.CLOSE, encodeClose(closeCode, closeReason));
}

function mask(target: Buffer, start: number, length: number, maskingKey: number | null): void {
  if (maskingKey === null) return;
  masker.apply(target, start, start + length, maskingKey);
  masker.release();
}
