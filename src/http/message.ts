import { parseAuthority } from './authority.ts';
import { HttpError } from './error.ts';
import { Fields } from './fields.ts';
import { isFieldValue, isToken, trimWhitespace } from './grammar.ts';

export { Fields } from './fields.ts';

/**
 * HTTP/1.1 message heads (RFC 9112), parsed strictly. Anything that two parsers could read in two ways is refused,
 * because request smuggling depends on such differences. Strings are latin1, so each character is a byte.
 */

export interface RequestHead {
  readonly method: string;
  /** The raw target, in any of the forms of RFC 9112, section 3.2. */
  readonly requestTarget: string;
  /** Raw: not decoded, without the query; `*` for a server-wide OPTIONS. */
  readonly path: string;
  /** Raw: the part behind the first `?`; null if there is none. */
  readonly query: string | null;
  readonly version: '1.0' | '1.1';
  /** The authority that the request is for, `host` or `host:port`. Null only if HTTP/1.0 came without one. */
  readonly host: string | null;
  readonly fields: Fields;
}

export interface ResponseHead {
  readonly version: '1.0' | '1.1';
  readonly status: number;
  readonly fields: Fields;
}

/**
 * `method SP request-target SP HTTP-version`. Some clients send raw UTF-8 in the target, so bytes from 0x80 on are
 * legal.
 */
const REQUEST_LINE = /^([^ ]+) ([\x21-\x7e\x80-\xff]+) (HTTP\/\d\.\d)$/;

/**
 * "A server MUST send the space that separates the status-code from the reason-phrase even when the reason-phrase is
 * absent" (RFC 9112, section 4). So many servers leave it out that a client cannot insist on it.
 */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** `absolute-form` (RFC 9112, section 3.2.2): the authority, and the rest, which is an origin-form. */
const ABSOLUTE_FORM = /^(?:http|ws)s?:\/\/([^/?]*)(.*)$/i;

/**
 * Parses a request head, with its empty line.
 *
 * @param maxFields the most field lines that are accepted.
 * @throws {HttpError} 431 for too many fields, 400 for any other error.
 */
export function parseRequestHead(head: Buffer, maxFields: number): RequestHead {
  const lines = splitHead(head);

  const match = REQUEST_LINE.exec(lines[0] as string);
  const [method, requestTarget, httpVersion] = match === null ? [] : match.slice(1);
  if (method === undefined || requestTarget === undefined || !isToken(method)) bad('Malformed request line');
  if (httpVersion !== 'HTTP/1.1' && httpVersion !== 'HTTP/1.0') bad('Unsupported HTTP version');
  const version = httpVersion === 'HTTP/1.1' ? '1.1' : '1.0';

  const fields = parseFields(lines, maxFields);
  checkHost(fields, version);
  checkFraming(fields, method);

  const { authority, path, query } = parseRequestTarget(requestTarget, method);
  // "When an origin server receives a request with an absolute-form of request-target, the origin server MUST ignore
  // the received Host header field (if any) and instead use the host information of the request-target"
  // (RFC 9112, section 3.2.2).
  const host = authority ?? fields.get('host') ?? null;
  return { method, requestTarget, path, query, version, host, fields };
}

/**
 * Parses a response head, with its empty line. The reason-phrase is dropped: "A client SHOULD ignore the reason-phrase
 * content" (RFC 9112, section 4).
 *
 * @param maxFields the most field lines that are accepted.
 * @throws {HttpError} with a sentence that repeats nothing that the peer sent.
 */
export function parseResponseHead(head: Buffer, maxFields: number): ResponseHead {
  const lines = splitHead(head);
  const match = STATUS_LINE.exec(lines[0] as string);
  if (match === null) bad('Malformed status line');
  return {
    version: match[1] === '1' ? '1.1' : '1.0',
    status: Number(match[2]),
    fields: parseFields(lines, maxFields),
  };
}

/** @returns the start-line and the field lines, without their ends; at least the start-line */
function splitHead(head: Buffer): string[] {
  const text = head.toString('latin1');
  if (!text.endsWith('\r\n\r\n')) bad('Incomplete head');
  return text.slice(0, -4).split('\r\n');
}

/** @param lines all lines of the head, the start-line first */
function parseFields(lines: readonly string[], maxFields: number): Fields {
  if (lines.length - 1 > maxFields) throw new HttpError(431, 'Too many fields');
  const entries: [name: string, value: string][] = [];
  for (let i = 1; i < lines.length; i++) entries.push(parseFieldLine(lines[i] as string));
  return new Fields(entries);
}

/** `field-name ":" OWS field-value OWS` (RFC 9112, section 5). */
function parseFieldLine(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  // "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that contains
  // whitespace between a header field name and colon" (section 5.1), and one with obs-fold (section 5.2). Both are
  // ruled out because the name must be a token, and so is the empty name.
  if (!isToken(name)) bad('Malformed field name');
  const value = trimWhitespace(line.slice(colon + 1));
  if (!isFieldValue(value)) bad('Control character in a field value');
  return [name, value];
}

/**
 * "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header
 * field and to any request message that contains more than one Host header field line or a Host header field with an
 * invalid field value" (RFC 9112, section 3.2). HTTP/1.0 has no Host, and the health checks of load balancers use it.
 */
function checkHost(fields: Fields, version: RequestHead['version']): void {
  const [host, ...others] = fields.all('host');
  if (others.length > 0) bad('More than one Host');
  if (host === undefined) {
    if (version === '1.1') bad('Missing Host');
  } else if (parseAuthority(host) === null) {
    bad('Invalid Host');
  }
}

/**
 * No request that is served here has a body, and a second request could hide in one. Other methods are refused later,
 * but their framing must be clear too: a message with both fields "might indicate an attempt to perform request
 * smuggling … and ought to be handled as an error" (RFC 9112, section 6.3).
 */
function checkFraming(fields: Fields, method: string): void {
  const [contentLength = '0', ...others] = fields.all('content-length');
  if (others.length > 0 || !/^\d+$/.test(contentLength)) bad('Invalid Content-Length');
  const encoded = fields.has('transfer-encoding');
  if (encoded && fields.has('content-length')) bad('Both Transfer-Encoding and Content-Length');
  if ((method === 'GET' || method === 'HEAD') && (encoded || contentLength !== '0'))
    bad('A request body is not allowed');
}

/**
 * origin-form, absolute-form, and the asterisk-form, which "is only used for a server-wide OPTIONS request" (RFC 9112,
 * section 3.2.4). The authority-form is for CONNECT alone, which is not served.
 */
function parseRequestTarget(
  target: string,
  method: string,
): { authority: string | null; path: string; query: string | null } {
  if (target === '*' && method === 'OPTIONS') return { authority: null, path: '*', query: null };
  const absolute = ABSOLUTE_FORM.exec(target);
  const authority = absolute === null ? null : (absolute[1] as string);
  if (authority !== null && parseAuthority(authority) === null) bad('Invalid request target');
  const originForm = absolute === null ? target : (absolute[2] as string);
  const mark = originForm.indexOf('?');
  const path = mark === -1 ? originForm : originForm.slice(0, mark);
  const query = mark === -1 ? null : originForm.slice(mark + 1);
  // Only an absolute-form may have no path: in an origin-form "the client MUST send "/" as the path" (RFC 9112,
  // section 3.2.1).
  if (authority !== null && path === '') return { authority, path: '/', query };
  if (!path.startsWith('/')) bad('Invalid request target');
  return { authority, path, query };
}

function bad(sentence: string): never {
  throw new HttpError(400, sentence);
}
