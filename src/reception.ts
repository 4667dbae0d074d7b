/**
 * A connection until its head is read: one request, complete within a time that no drip extends.
 */
import { HttpError } from './http/error.ts';
import { HeadAccumulator } from './http/head-accumulator.ts';
import { parseRequestHead, type RequestHead } from './http/message.ts';
import type { Connection, ConnectionHandler } from './transport/connection.ts';

export interface ReceptionLimits {
  maxHeadBytes: number;
  maxHeadFields: number;
  headTimeoutMs: number;
}

export interface ReceptionSink {
  /** @param rest bytes that came behind the head */
  onRequest(head: RequestHead, rest: Buffer): void;
  onRefused(error: HttpError): void;
}

export class Reception implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #limits: ReceptionLimits;
  readonly #sink: ReceptionSink;
  readonly #accumulator: HeadAccumulator;
  #begun = false;

  constructor(connection: Connection, limits: ReceptionLimits, sink: ReceptionSink) {
    this.#connection = connection;
    this.#limits = limits;
    this.#sink = sink;
    this.#accumulator = new HeadAccumulator(limits.maxHeadBytes, 'request');
    connection.setDeadline(limits.headTimeoutMs);
  }

  onData(chunk: Buffer): void {
    this.#begun = true;
    let request: RequestHead;
    let rest: Buffer;
    try {
      const accumulated = this.#accumulator.push(chunk);
      if (accumulated === null) return;
      request = parseRequestHead(accumulated.head, this.#limits.maxHeadFields);
      rest = accumulated.rest;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#sink.onRefused(error);
      return;
    }
    this.#sink.onRequest(request, rest);
  }

  onEof(): void {
    this.#connection.destroy();
  }

  onDrain(): void {}

  onDeadline(): void {
    if (this.#begun) this.#sink.onRefused(new HttpError(408, 'The request took too long'));
    else this.#connection.destroy();
  }

  onGone(): void {}

  onShutdown(): void {
    this.#connection.destroy();
  }
}
