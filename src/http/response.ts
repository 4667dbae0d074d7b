import { encodeHead } from './encode-head.ts';
import { HttpError } from './error.ts';
import type { RequestHead } from './message.ts';

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const EMPTY = Buffer.alloc(0);
const READING_METHODS = 'GET, HEAD, OPTIONS';

/** An answer, before it is known when it leaves and whether its body does. */
export interface Response {
  readonly status: number;
  /** All but Date, Connection, Content-Length and nosniff, which every answer gets. */
  readonly fields: Readonly<Record<string, string>>;
  /** Written as it is: it must not be changed until it is out. */
  readonly body: Buffer;
}

/**
 * A sentence, as text that nobody keeps.
 *
 * @param text a line end is added if it has none.
 * @param fields beside the usual ones, or in their place.
 */
export function textResponse(status: number, text: string, fields: Readonly<Record<string, string>> = {}): Response {
  return {
    status,
    fields: { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', ...fields },
    body: Buffer.from(text.endsWith('\n') ? text : `${text}\n`),
  };
}

/** What the peer is told of an error. */
export function errorResponse({ status, message, fields }: HttpError): Response {
  return textResponse(status, message, fields);
}

/**
 * The answer of something that can only be read: `get` for GET and HEAD, the methods for OPTIONS.
 *
 * @throws {HttpError} 405 for any other method.
 */
export function respond({ method }: RequestHead, get: () => Response): Response {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return get();
    case 'OPTIONS':
      return { status: 200, fields: { Allow: READING_METHODS, 'Cache-Control': 'no-store' }, body: EMPTY };
    default:
      throw new HttpError(405, 'Method Not Allowed', { Allow: READING_METHODS });
  }
}

/**
 * The bytes of an answer, in order. The connection is to be closed after them: what may stand behind a refused request
 * is never read as a second one.
 *
 * @param date when it leaves, as an IMF-fixdate (RFC 9110, section 5.6.7), which is what `Date.toUTCString` gives: "An
 *   origin server with a clock … MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection), and 4xx
 *   (Client Error) responses" (section 6.6.1).
 * @param isHead the request's method was HEAD: the body is announced and left out.
 * @returns the head, and the response's own body unless that is empty or left out.
 * @throws {TypeError} if a field could break out of its line.
 */
export function encodeResponse({ status, fields, body }: Response, date: string, isHead = false): Buffer[] {
  // "A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field"
  // (RFC 9110, section 7.8).
  const connection = Object.hasOwn(fields, 'Upgrade') ? 'Upgrade, close' : 'close';
  const all: [name: string, value: string][] = [
    ['Date', date],
    ['Connection', connection],
    ['X-Content-Type-Options', 'nosniff'],
    ...Object.entries(fields),
  ];
  // A 304 has no body, and a length would be that of the 200 it stands for (RFC 9110, section 8.6).
  if (status !== 304) all.push(['Content-Length', String(body.length)]);
  const head = encodeHead(`HTTP/1.1 ${status} ${REASONS[status] ?? ''}`, all);
  return isHead || body.length === 0 ? [head] : [head, body];
}
