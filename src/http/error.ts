/**
 * The peer's HTTP cannot be served. Like every error of this code base it carries what the peer will be told;
 * `encodeError` turns it into bytes.
 */
export class HttpError extends Error {
  readonly status: number;
  /** Response fields beside the usual ones, such as `Allow` or `Sec-WebSocket-Version`. */
  readonly fields: Readonly<Record<string, string>>;

  /** @param sentence the answer's body: a plain sentence that repeats nothing a peer sent unless it was made harmless. */
  constructor(status: number, sentence: string, fields: Readonly<Record<string, string>> = {}) {
    super(sentence);
    this.name = 'HttpError';
    this.status = status;
    this.fields = fields;
  }
}

/** The peer begins a TLS handshake. It cannot read the answer, but it sees at once that TLS is not spoken here. */
export class TlsHelloError extends HttpError {
  constructor() {
    super(400, 'This port speaks plain HTTP, not TLS: use http:// and ws://');
    this.name = 'TlsHelloError';
  }
}
