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

/** A response, independent of the time when it is sent and of whether its body is sent. */
export interface Response {
  readonly status: number;
  /** Without Date, Connection, Content-Length and nosniff, which every response gets. */
  readonly fields: Readonly<Record<string, string>>;
  /** Written without a copy, so it must never be changed. */
  readonly body: Buffer;
}

/**
 * Plain text, which is not cached.
 *
 * @param text the body; a line end is added if it has none.
 * @param fields fields to add; they replace default fields with the same name.
 */
export function textResponse(status: number, text: string, fields: Readonly<Record<string, string>> = {}): Response {
  return {
    status,
    fields: { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', ...fields },
    body: Buffer.from(text.endsWith('\n') ? text : `${text}\n`),
  };
}

/** The response for an error. */
export function errorResponse({ status, message, fields }: HttpError): Response {
  return textResponse(status, message, fields);
}

/**
 * Answers a request for a resource that can only be read: `get` for GET and HEAD, the list of methods for OPTIONS.
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
 * Encodes a response. The connection must be closed after it, so that bytes after a refused request are never read as a
 * second request.
 *
 * @param date the time of sending as an IMF-fixdate (RFC 9110, section 5.6.7), such as `Date.toUTCString` returns: "An
 *   origin server with a clock … MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection), and 4xx
 *   (Client Error) responses" (section 6.6.1).
 * @param isHead true if the method was HEAD: the body's length is sent, but not the body.
 * @returns the head, followed by the response's own body unless that is empty or not sent.
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
  // A 304 has no body. A length would be that of the 200 it replaces (RFC 9110, section 8.6).
  if (status !== 304) all.push(['Content-Length', String(body.length)]);
  const head = encodeHead(`HTTP/1.1 ${status} ${REASONS[status] ?? ''}`, all);
  return isHead || body.length === 0 ? [head] : [head, body];
}
