/**
 * A request that cannot be served. Like every error of this code base it contains the answer to the peer, which
 * `errorResponse` turns into a response.
 */
export class HttpError extends Error {
  readonly status: number;
  /** Response fields beside the usual ones, such as `Allow` or `Sec-WebSocket-Version`. */
  readonly fields: Readonly<Record<string, string>>;

  /**
   * @param sentence the response's body: one plain sentence. It may repeat the peer's text only if that is harmless.
   */
  constructor(status: number, sentence: string, fields: Readonly<Record<string, string>> = {}) {
    super(sentence);
    this.name = 'HttpError';
    this.status = status;
    this.fields = fields;
  }
}

/** The peer began a TLS handshake. It cannot read the response, but it learns at once that this port speaks no TLS. */
export class TlsHelloError extends HttpError {
  constructor() {
    super(400, 'This port speaks plain HTTP, not TLS: use http:// and ws://');
    this.name = 'TlsHelloError';
  }
}
