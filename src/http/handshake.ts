import { hash } from 'node:crypto';
import { parseAuthority } from './authority.ts';
import { encodeHead } from './encode-head.ts';
import { HttpError } from './error.ts';
import { formatExtensions, parseExtensions } from './extensions.ts';
import { isToken, splitList } from './grammar.ts';
import type { Fields, RequestHead, ResponseHead } from './message.ts';

/**
 * The opening handshake (RFC 6455, section 4), both sides, without the socket:
 *
 *     client ── encodeUpgradeRequest ──▶ readUpgradeRequest ── server
 *            ◀── readUpgradeResponse ─── encodeUpgradeResponse
 */

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';

/** 16 bytes in canonical base64: the 22nd character carries two bits, so four zero bits follow them. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** The content of a client's opening handshake. */
export interface UpgradeRequest {
  readonly key: string;
  /** In the client's order of preference. Each is a token, and none is there twice. */
  readonly subprotocols: readonly string[];
  /** A Sec-WebSocket-Extensions value, rewritten from its parsed parts if a peer sent it; null for none. */
  readonly extensions: string | null;
}

/** An answer that RFC 6455 does not allow. The message is short and repeats nothing that the server sent. */
export class HandshakeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HandshakeError';
  }
}

/** The Sec-WebSocket-Accept that proves that the server has read the key (section 4.2.2). */
export function acceptFor(key: string): string {
  return hash('sha1', key + GUID, 'base64');
}

/** Whether the request asks for a WebSocket. `readUpgradeRequest` checks whether it may have one. */
export function wantsUpgrade(head: RequestHead): boolean {
  return hasElement(head.fields, 'upgrade', 'websocket');
}

/**
 * Checks a client's opening handshake (section 4.2.1) and reads its content.
 *
 * @throws {HttpError} 405, 426 or 400, with the fields that tell the client what is expected.
 */
export function readUpgradeRequest(head: RequestHead): UpgradeRequest {
  const { fields } = head;
  // "The method of the request MUST be GET" (section 4.1).
  if (head.method !== 'GET') throw new HttpError(405, 'Method Not Allowed', { Allow: 'GET' });
  if (!wantsUpgrade(head)) throw upgradeRequired('This is a WebSocket endpoint');
  // "A server that receives an Upgrade header field in an HTTP/1.0 request MUST ignore that Upgrade field"
  // (RFC 9110, section 7.8), and "the HTTP version MUST be at least 1.1" (section 4.1).
  if (head.version === '1.0') throw new HttpError(400, 'An upgrade needs HTTP/1.1');
  if (!hasElement(fields, 'connection', 'upgrade')) throw new HttpError(400, 'Connection does not name Upgrade');

  const [version, ...otherVersions] = fields.all('sec-websocket-version');
  if (otherVersions.length > 0) throw new HttpError(400, 'More than one Sec-WebSocket-Version');
  // "If this version does not match a version understood by the server, the server MUST abort the WebSocket handshake
  // … and instead send an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version|
  // header field indicating the version(s) the server is capable of understanding" (section 4.2.2).
  if (version !== VERSION) throw upgradeRequired('Only WebSocket version 13 is spoken here');

  const [key, ...otherKeys] = fields.all('sec-websocket-key');
  if (key === undefined || otherKeys.length > 0 || !KEY.test(key)) {
    throw new HttpError(400, 'Sec-WebSocket-Key is not one key of 16 bytes');
  }
  return { key, subprotocols: readSubprotocols(fields), extensions: readExtensions(fields) };
}

/** Encodes the 101 that completes the opening handshake (section 4.2.2). */
export function encodeUpgradeResponse(key: string, subprotocol: string | null, extensions: string | null): Buffer {
  const fields: [string, string][] = [
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Accept', acceptFor(key)],
  ];
  if (subprotocol !== null) fields.push(['Sec-WebSocket-Protocol', subprotocol]);
  if (extensions !== null) fields.push(['Sec-WebSocket-Extensions', extensions]);
  return encodeHead('HTTP/1.1 101 Switching Protocols', fields);
}

/**
 * Encodes a client's opening handshake (section 4.1).
 *
 * @param host a name or an address, IPv6 with or without brackets. A zone id is removed, because it means something on
 *   this machine only (RFC 6874, section 4: "MUST remove any ZoneID").
 * @param port null if it is the default port of the scheme: then it is left out.
 * @param bearer sent as `Authorization: Bearer`; null for none.
 * @param path an origin-form.
 * @throws {TypeError} if the host is no valid Host, or another part is not valid in its field: nothing is escaped or
 *   left out silently. For a name that is no host name, pass the address.
 */
export function encodeUpgradeRequest(
  host: string,
  port: number | null,
  request: UpgradeRequest,
  bearer: string | null,
  path = '/',
): Buffer {
  const authority = port === null ? bracketed(host) : `${bracketed(host)}:${port}`;
  if (parseAuthority(authority)?.port !== port) throw new TypeError('Not a host and port');
  if (!/^\/[\x21-\x7e]*$/.test(path)) throw new TypeError('Not a path');
  const fields: [string, string][] = [
    ['Host', authority],
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Key', request.key],
    ['Sec-WebSocket-Version', VERSION],
  ];
  if (!request.subprotocols.every(isToken)) throw new TypeError('Not a subprotocol');
  if (request.subprotocols.length > 0) fields.push(['Sec-WebSocket-Protocol', request.subprotocols.join(', ')]);
  if (request.extensions !== null) fields.push(['Sec-WebSocket-Extensions', request.extensions]);
  if (bearer !== null) fields.push(['Authorization', `Bearer ${bearer}`]);
  return encodeHead(`GET ${path} HTTP/1.1`, fields);
}

/**
 * Checks the whole answer to this client's opening handshake (section 4.1, "the client MUST validate the server's
 * response"). Any program may be listening on the port, so nothing is taken for granted.
 *
 * @returns the server's choices; null for none
 * @throws {HandshakeError}
 */
export function readUpgradeResponse(
  head: ResponseHead,
  request: UpgradeRequest,
): { subprotocol: string | null; extensions: string | null } {
  const { fields } = head;
  if (head.status !== 101) throw new HandshakeError(`status ${head.status}`);
  if (head.version !== '1.1') throw new HandshakeError('not HTTP/1.1');
  // "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx" (RFC 9110,
  // section 8.6), nor a Transfer-Encoding (RFC 9112, section 6.1). A server that does expects other bytes to follow
  // than we do.
  if (fields.has('transfer-encoding') || fields.all('content-length').some((length) => length !== '0')) {
    throw new HandshakeError('a body was announced');
  }
  if (fields.get('upgrade')?.toLowerCase() !== 'websocket') throw new HandshakeError('wrong Upgrade');
  if (!hasElement(fields, 'connection', 'upgrade')) throw new HandshakeError('wrong Connection');
  if (fields.get('sec-websocket-accept') !== acceptFor(request.key)) {
    throw new HandshakeError('wrong Sec-WebSocket-Accept');
  }
  return { subprotocol: readChosenSubprotocol(fields, request), extensions: readChosenExtensions(fields, request) };
}

function upgradeRequired(sentence: string): HttpError {
  return new HttpError(426, sentence, { Upgrade: 'websocket', 'Sec-WebSocket-Version': VERSION });
}

function hasElement(fields: Fields, name: string, element: string): boolean {
  const values = fields.all(name);
  // The common case: it is the only element.
  if (values.length === 1 && values[0]?.toLowerCase() === element) return true;
  return fields.list(name).some((candidate) => candidate.toLowerCase() === element);
}

/**
 * "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021 to U+007E not
 * including separator characters … and MUST all be unique strings" (section 4.1). An empty list is malformed too, but
 * some clients send one when they offer nothing, so it counts as absent.
 */
function readSubprotocols(fields: Fields): string[] {
  // Most agents offer none.
  if (!fields.has('sec-websocket-protocol')) return [];
  const subprotocols = fields.list('sec-websocket-protocol');
  if (!subprotocols.every(isToken) || new Set(subprotocols).size !== subprotocols.length) {
    throw new HttpError(400, 'Sec-WebSocket-Protocol is not a list of different tokens');
  }
  return subprotocols;
}

function readExtensions(fields: Fields): string | null {
  const value = fields.get('sec-websocket-extensions');
  if (value === undefined || splitList(value).length === 0) return null;
  const extensions = parseExtensions(value);
  if (extensions === null) throw new HttpError(400, 'Malformed Sec-WebSocket-Extensions');
  return formatExtensions(extensions);
}

/**
 * "If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the use of a
 * subprotocol that was not present in the client's handshake …, the client MUST _Fail the WebSocket Connection_"
 * (section 4.1). A list of several subprotocols is none of those offered either.
 */
function readChosenSubprotocol(fields: Fields, request: UpgradeRequest): string | null {
  const subprotocol = fields.get('sec-websocket-protocol');
  if (subprotocol === undefined) return null;
  if (!request.subprotocols.includes(subprotocol)) throw new HandshakeError('a subprotocol that was not offered');
  return subprotocol;
}

/** The same for extensions. One may be offered in several variants, of which the server chooses one at most. */
function readChosenExtensions(fields: Fields, request: UpgradeRequest): string | null {
  const value = fields.get('sec-websocket-extensions');
  if (value === undefined) return null;
  const chosen = parseExtensions(value);
  if (chosen === null) throw new HandshakeError('malformed Sec-WebSocket-Extensions');
  const offered = new Set(parseExtensions(request.extensions ?? '')?.map(({ name }) => name));
  // Each chosen name is deleted, so one that is chosen twice is caught too.
  if (!chosen.every(({ name }) => offered.delete(name))) throw new HandshakeError('an extension that was not offered');
  return formatExtensions(chosen);
}

function bracketed(host: string): string {
  if (!host.includes(':')) return host;
  const address = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return `[${address.replace(/%.*$/s, '')}]`;
}
