/**
 * The registry's plain JSON-RPC: text ⇄ requests and answers. It is not JSON-RPC 2.0: it has no version field and no
 * error codes, and an error is a sentence.
 */

/** An integer too large for an exact JavaScript number is a bigint, so the answer repeats all its digits. */
export type RequestId = string | number | bigint;

export interface Request {
  id?: RequestId;
  method: string;
  params?: Record<string, unknown>;
}

/** An invalid request, or one that cannot be served. The message is the sentence for the peer. */
export class RpcError extends Error {
  /** The request's id, if one could be read. */
  readonly id: RequestId | undefined;

  constructor(sentence: string, id?: RequestId) {
    super(sentence);
    this.name = 'RpcError';
    this.id = id;
  }
}

/**
 * Copies only the known fields of a request. The peer's own object is never kept, spread or stringified.
 *
 * @throws RpcError if the text is no request
 */
export function parseRequest(text: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RpcError('Invalid request: not JSON');
  }
  if (!isObject(value)) throw new RpcError('Invalid request: not an object');
  const request: Request = { method: '' };
  if (value.id !== undefined) {
    if (!isRequestId(value.id)) throw new RpcError('Invalid request: id must be a string or a number');
    request.id = asWritten(text, value.id);
  }
  if (typeof value.method !== 'string') throw new RpcError('Invalid request: method must be a string', request.id);
  request.method = value.method;
  if (value.params !== undefined && value.params !== null) {
    if (!isObject(value.params)) throw new RpcError('Invalid request: params must be an object', request.id);
    request.params = value.params;
  }
  return request;
}

/** @param result JSON, already encoded */
export function encodeResult(id: RequestId | undefined, result: string): string {
  return `{${encodeId(id)}"result":${result}}`;
}

/** @param sentence plain text */
export function encodeError(id: RequestId | undefined, sentence: string): string {
  return `{${encodeId(id)}"error":${JSON.stringify(sentence)}}`;
}

function encodeId(id: RequestId | undefined): string {
  if (id === undefined) return '';
  return `"id":${typeof id === 'bigint' ? id : JSON.stringify(id)},`;
}

/**
 * The id with all its digits. A large integer, such as a time in nanoseconds, loses digits as a JavaScript number, and
 * the peer would not recognise the answer.
 */
function asWritten(text: string, id: string | number): RequestId {
  if (typeof id === 'string' || Number.isSafeInteger(id) || !Number.isInteger(id)) return id;
  let exact: RequestId = id;
  let depth = 0;
  for (const [token, digits] of text.matchAll(/"id"\s*:\s*(-?\d+)(?![\d.eE])|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    // Of two ids the last counts, as for JSON.parse. An id whose name is escaped is not found here and stays a number.
    else if (depth === 1 && digits !== undefined && Number(digits) === id) exact = BigInt(digits);
  }
  return exact;
}

/** A number that JSON cannot repeat (1e999 becomes Infinity) is no id, because the answer would have another id. */
function isRequestId(value: unknown): value is string | number {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
