/**
 * Checks whether a header is legal in itself. The order of frames is checked in message.ts. Reserved bits, whose
 * meaning depends on the handshake, are checked in parser.ts.
 */
import type { FrameHeader } from './header.ts';
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES, Opcode, ProtocolError, type Side } from './vocabulary.ts';

export function isControl(opcode: number): boolean {
  return (opcode & 0x8) !== 0;
}

function isKnown(opcode: number): boolean {
  return opcode <= Opcode.BINARY || (opcode >= Opcode.CLOSE && opcode <= Opcode.PONG);
}

/**
 * Checks a header.
 *
 * @param readBy the side that received the header
 * @throws ProtocolError 1002, or 1009 for a length that no machine could hold
 */
export function checkHeader(header: FrameHeader, readBy: Side): void {
  const { opcode, masked, payloadLength } = header;

  // "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_." (5.2)
  if (!isKnown(opcode)) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'unknown opcode');

  // "a client MUST mask all frames that it sends to the server" (5.1)
  if (readBy === 'server' && !masked) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'frame is not masked');
  // "A client MUST close a connection if it detects a masked frame." (5.1)
  if (readBy === 'client' && masked) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'frame is masked');

  if (isControl(opcode)) {
    // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented." (5.5)
    if (!header.fin) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'control frame is fragmented');
    if (payloadLength > MAX_CONTROL_PAYLOAD_BYTES) {
      throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'control frame is too long');
    }
  }

  // "the minimal number of bytes MUST be used to encode the length" (5.2)
  const extendedBytes = header.headerLength - (masked ? 6 : 2);
  if ((extendedBytes === 2 && payloadLength < 126) || (extendedBytes === 8 && payloadLength < 2 ** 16)) {
    throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'length is not minimal');
  }
  // "the most significant bit MUST be 0" (5.2)
  if (payloadLength >= 2 ** 63) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'length has its top bit set');
  if (payloadLength > Number.MAX_SAFE_INTEGER) throw new ProtocolError(CloseCode.TOO_LARGE, 'frame is too large');
}
