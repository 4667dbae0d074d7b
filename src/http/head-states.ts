import { HttpError, TlsHelloError } from './error.ts';
import { isFieldValue, isToken } from './grammar.ts';

/**
 * The grammar of a message head (RFC 9112, section 2.1) as a state machine: a state and a byte give the next state, so
 * an illegal byte is found as soon as it comes.
 *
 *     REQUEST ──▶ METHOD ──SP─▶ TARGET ──SP─▶ VERSION "HTTP/d.d" ──CR─▶ START_LF ──┐
 *     RESPONSE "HTTP/1.d" ──SP─▶ STATUS ddd ──SP─▶ REASON ──────────CR─▶           │
 *                                                                                 LF
 *         ┌───────────────────────────────────────────────────────────────────────┘
 *         ▼
 *        LINE ──▶ NAME ──':'─▶ VALUE ──CR─▶ VALUE_LF ──LF─▶ LINE
 *         └──CR─▶ LAST_LF ──LF─▶ COMPLETE
 *
 * The meaning of the start-line and the fields is judged once the head is complete: see message.ts.
 */
export type State = number;

/** A state is the index of its row in the table, so the next state is found by one addition and one look-up. */
const ROW = 256;
export const ILLEGAL: State = 0;
export const COMPLETE: State = 1 * ROW;
/** Before the first byte of a request. */
export const REQUEST: State = 2 * ROW;
/** Before the first byte of a response. Its version and status take one state for each byte, up to STATUS_END. */
export const RESPONSE: State = 3 * ROW;
const STATUS_END = RESPONSE + 12 * ROW;
const REASON = STATUS_END + ROW;
const METHOD = REASON + ROW;
const TARGET_START = METHOD + ROW;
const TARGET = TARGET_START + ROW;
/** The version takes one state for each byte. */
const VERSION = TARGET + ROW;
const VERSION_END = VERSION + 8 * ROW;
const START_LF = VERSION_END + ROW;
const LINE = START_LF + ROW;
const NAME = LINE + ROW;
const VALUE = NAME + ROW;
const VALUE_LF = VALUE + ROW;
const LAST_LF = VALUE_LF + ROW;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
/** The content type of a handshake record, with which every TLS client begins (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;

const DIGIT = '0123456789';
const TCHAR = bytesThat(isToken);
const FIELD_VCHAR = bytesThat(isFieldValue);
/** Includes the bytes from 0x80 on, because some clients send raw UTF-8. */
const TARGET_CHAR = bytesThat((byte) => /[\x21-\x7e\x80-\xff]/.test(byte));

/** The next state, at the index `state + byte`; ILLEGAL if the byte is illegal in that state. */
export const NEXT = new Uint16Array(LAST_LF + ROW);

// request-line = method SP request-target SP HTTP-version
allow(REQUEST, TCHAR, METHOD);
allow(METHOD, TCHAR, METHOD);
allow(METHOD, ' ', TARGET_START);
allow(TARGET_START, TARGET_CHAR, TARGET);
allow(TARGET, TARGET_CHAR, TARGET);
allow(TARGET, ' ', VERSION);
allowEach(VERSION, ['H', 'T', 'T', 'P', '/', DIGIT, '.', DIGIT]);
allow(VERSION_END, '\r', START_LF);

// status-line = HTTP-version SP status-code SP [ reason-phrase ]. Many servers leave out the second SP.
allowEach(RESPONSE, ['H', 'T', 'T', 'P', '/', '1', '.', '01', ' ', '12345', DIGIT, DIGIT]);
allow(STATUS_END, ' ', REASON);
allow(STATUS_END, '\r', START_LF);
allow(REASON, FIELD_VCHAR, REASON);
allow(REASON, '\r', START_LF);

// field-line = field-name ":" OWS field-value OWS
allow(START_LF, '\n', LINE);
allow(LINE, TCHAR, NAME);
allow(NAME, TCHAR, NAME);
allow(NAME, ':', VALUE);
allow(VALUE, FIELD_VCHAR, VALUE);
allow(VALUE, '\r', VALUE_LF);
allow(VALUE_LF, '\n', LINE);

allow(LINE, '\r', LAST_LF);
allow(LAST_LF, '\n', COMPLETE);

/** The 400 for a byte that is illegal in that state. */
export function refusal(state: State, byte: number): HttpError {
  if (byte === NUL) return new HttpError(400, 'NUL in the head');
  // "a recipient MAY recognize a single LF as a line terminator" (RFC 9112, section 2.2). This one does not: if it and
  // a proxy disagreed about where lines end, an attacker could make them disagree about the request.
  if (byte === LF) return new HttpError(400, 'Bare LF in the head');
  if (state === REQUEST && byte === TLS_HANDSHAKE) return new TlsHelloError();
  // "a server … SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (RFC 9112, section
  // 2.2). That helps clients that send a superfluous CRLF after a body, before their next request. Here a connection
  // carries one request only, so there are no such clients.
  if (state === REQUEST && byte === CR) return new HttpError(400, 'Empty line before the start-line');
  return new HttpError(400, sentenceFor(state));
}

function sentenceFor(state: State): string {
  if (state >= RESPONSE && state <= REASON) return 'Malformed status line';
  if (state === REQUEST || (state >= METHOD && state <= START_LF)) return 'Malformed request line';
  return state === VALUE || state === VALUE_LF ? 'Control character in a field value' : 'Malformed field name';
}

function allow(from: State, bytes: string, to: State): void {
  for (let i = 0; i < bytes.length; i++) NEXT[from + bytes.charCodeAt(i)] = to;
}

/** Allows one set of bytes after another, each in a state of its own. */
function allowEach(from: State, parts: readonly string[]): void {
  for (const [i, bytes] of parts.entries()) allow(from + i * ROW, bytes, from + (i + 1) * ROW);
}

function bytesThat(match: (byte: string) => boolean): string {
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
    .filter(match)
    .join('');
}
