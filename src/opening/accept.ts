/**
 * Accepting: reads the request head of a connection in bounded time. The counterpart of connecting.
 *
 *   SILENT ──(a byte)──▶ READING ──(the empty line)──▶ onRequest
 *     │                     ├──(an illegal byte, or too many bytes)──▶ onRefused, 400 or 431
 *     │                     └──(the deadline, which no drip extends)──▶ onRefused, 408
 *     └──(the deadline)──▶ closed without an answer
 *
 *   either state ──(the peer's end, shutdown)──▶ closed without an answer
 *
 * A connection carries one request. Both calls end the reading, and install another handler.
 */
import { HttpError } from '../http/error.ts';
import { HeadAccumulator } from '../http/head-accumulator.ts';
import { parseRequestHead, type RequestHead } from '../http/message.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';

export interface AcceptLimits {
  /** The longest head, in bytes. */
  readonly maxHeadBytes: number;
  /** The most fields in it. */
  readonly maxHeadFields: number;
  /** The time from the call of `accept` to the last byte of the head, in milliseconds. */
  readonly headTimeoutMs: number;
}

/**
 * One of the two is called once, and must install another handler. Neither is called if the peer leaves first.
 */
export interface AcceptSink {
  /** @param rest the bytes after the head, valid during the call like any chunk */
  onRequest(head: RequestHead, rest: Buffer): void;
  /** The peer is still connected, and can get an answer. */
  onRefused(error: HttpError): void;
}

const NOTHING = Buffer.alloc(0);

/**
 * Handles the connection until its request head is read.
 *
 * @param received bytes that have already come on it, for example after the peer's 101
 */
export function accept(
  connection: Connection,
  limits: AcceptLimits,
  sink: AcceptSink,
  received: Buffer = NOTHING,
): void {
  const accepting = new Accepting(connection, limits, sink);
  connection.handler = accepting;
  connection.setDeadline(limits.headTimeoutMs);
  connection.resume();
  if (received.length > 0) accepting.onData(received);
}

class Accepting implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #limits: AcceptLimits;
  readonly #sink: AcceptSink;
  readonly #accumulator: HeadAccumulator;
  #isSilent = true;

  constructor(connection: Connection, limits: AcceptLimits, sink: AcceptSink) {
    this.#connection = connection;
    this.#limits = limits;
    this.#sink = sink;
    this.#accumulator = new HeadAccumulator(limits.maxHeadBytes, 'request');
  }

  onData(chunk: Buffer): void {
    this.#isSilent = false;
    let head: RequestHead;
    let rest: Buffer;
    try {
      const accumulated = this.#accumulator.push(chunk);
      if (accumulated === null) return;
      head = parseRequestHead(accumulated.head, this.#limits.maxHeadFields);
      rest = accumulated.rest;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#sink.onRefused(error);
      return;
    }
    this.#sink.onRequest(head, rest);
  }

  onEof(): void {
    this.#connection.destroy();
  }

  onDrain(): void {}

  onDeadline(): void {
    if (this.#isSilent) this.#connection.destroy();
    else this.#sink.onRefused(new HttpError(408, 'The request took too long'));
  }

  onGone(): void {}

  onShutdown(): void {
    this.#connection.destroy();
  }
}
