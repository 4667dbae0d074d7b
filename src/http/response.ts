import { encodeHead } from './encode-head.ts';
import type { HttpError } from './error.ts';

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
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

export interface ResponseOptions {
  /** The request's method was HEAD: the body is announced and left out. */
  readonly head?: boolean;
}

/**
 * A whole plain response, after which the connection is to be closed: what may stand behind a refused request is
 * never read as a second one. No Date, for no clock is known in here: "An origin server without a clock MUST NOT
 * generate a Date header field" (RFC 9110, section 6.6.1).
 *
 * @param body text, to which a line end is added where it has none.
 * @param fields beside the usual ones, or in their place.
 */
export function encodeResponse(
  status: number,
  body: string,
  fields: Readonly<Record<string, string>> = {},
  options: ResponseOptions = {},
): Buffer {
  const content = Buffer.from(body.endsWith('\n') ? body : `${body}\n`);
  // "A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field"
  // (RFC 9110, section 7.8).
  const connection = Object.hasOwn(fields, 'Upgrade') ? 'Upgrade, close' : 'close';
  const head = encodeHead(
    `HTTP/1.1 ${status} ${REASONS[status] ?? ''}`,
    Object.entries({
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': String(content.length),
      Connection: connection,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...fields,
    }),
  );
  return options.head ? head : Buffer.concat([head, content]);
}

/** What the peer is told of an error. */
export function encodeError(error: HttpError, options: ResponseOptions = {}): Buffer {
  return encodeResponse(error.status, error.message, error.fields, options);
}
