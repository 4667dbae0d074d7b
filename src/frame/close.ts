/**
 * The payload of a close frame (RFC 6455, sections 5.5.1 and 7.4). It is empty, or a code and a reason in UTF-8.
 */
import { isUtf8 } from 'node:buffer';
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES, ProtocolError } from './vocabulary.ts';

export interface Close {
  /** The received code; 1005 if the frame had none. */
  closeCode: number;
  closeReason: string;
}

/** The largest reason, in bytes of UTF-8. */
export const MAX_CLOSE_REASON_BYTES = MAX_CONTROL_PAYLOAD_BYTES - 2;

/** Whether a close frame may contain this code. 1004 is reserved; 1005, 1006 and 1015 are never sent (7.4.1). */
export function isValidCloseCode(closeCode: number): boolean {
  if (closeCode >= 3000) return closeCode <= 4999;
  return (closeCode >= 1000 && closeCode <= 1003) || (closeCode >= 1007 && closeCode <= 1014);
}

/** @throws ProtocolError 1002 for one byte or a forbidden code, 1007 for a reason that is no UTF-8 */
export function decodeClose(payload: Buffer): Close {
  if (payload.length === 0) return { closeCode: CloseCode.NO_STATUS, closeReason: '' };
  // "the first two bytes of the body MUST be a 2-byte unsigned integer" (5.5.1)
  if (payload.length === 1) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'close payload is one byte');
  const closeCode = payload.readUInt16BE(0);
  if (!isValidCloseCode(closeCode)) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'close code is not allowed');
  const reason = payload.subarray(2);
  if (!isUtf8(reason)) throw new ProtocolError(CloseCode.INVALID_PAYLOAD, 'close reason is not UTF-8');
  return { closeCode, closeReason: reason.toString() };
}

/**
 * @param closeCode a valid code, or 1005 for an empty payload
 * @throws RangeError for a code that must not be sent, or a reason over 123 bytes
 */
export function encodeClose(closeCode: number, closeReason = ''): Buffer {
  if (closeCode === CloseCode.NO_STATUS) return Buffer.alloc(0);
  if (!isValidCloseCode(closeCode)) throw new RangeError(`close code ${closeCode} may not be sent`);
  const reason = Buffer.from(closeReason);
  if (reason.length > MAX_CLOSE_REASON_BYTES) throw new RangeError('close reason is over 123 bytes');
  const payload = Buffer.allocUnsafe(2 + reason.length);
  payload.writeUInt16BE(closeCode, 0);
  reason.copy(payload, 2);
  return payload;
}
