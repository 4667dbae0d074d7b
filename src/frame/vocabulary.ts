/**
 * The vocabulary of RFC 6455 framing.
 */

/** Frame opcodes (RFC 6455, section 5.2). Bit 3 marks a control frame. */
export const Opcode = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** The close codes with a name here (RFC 6455, section 7.4.1, and the IANA registry). */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNACCEPTABLE_TYPE: 1003,
  /** Never on the wire: the peer's close frame had no code. */
  NO_STATUS: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  TOO_LARGE: 1009,
  INTERNAL_ERROR: 1011,
  TRY_AGAIN_LATER: 1013,
  BAD_GATEWAY: 1014,
} as const;

/** A side of a connection: a server reads masked frames and writes unmasked ones, a client the reverse. */
export type Side = 'server' | 'client';

/** The largest payload of a control frame, in bytes (RFC 6455, section 5.5). */
export const MAX_CONTROL_PAYLOAD_BYTES = 125;

/** The largest frame header, in bytes: 2, 8 of extended length, 4 of masking key. */
export const MAX_HEADER_BYTES = 14;

/** A breach of the protocol by the peer. The close code and the message go into the close frame. */
export class ProtocolError extends Error {
  readonly closeCode: number;

  /** @param closeReason a plain sentence of at most 123 bytes of UTF-8, because it goes into the close frame */
  constructor(closeCode: number, closeReason: string) {
    super(closeReason);
    this.name = 'ProtocolError';
    this.closeCode = closeCode;
  }
}
