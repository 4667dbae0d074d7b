/**
 * Connecting: opens a connection and performs the opening handshake, in bounded time. The counterpart of accepting.
 *
 *   connect ──▶ CONNECTING ──(the peer accepts)──┬──────────────────────────────────────▶ HANDSHAKING ──(101)──▶ OPEN
 *                                                ├─(TLS)───────────────▶ SECURING ──────▶      ▲
 *                                                └─(proxy)─▶ TUNNELLING ─(200)─┬─(TLS)─▶ SECURING
 *                                                                              └───────▶ HANDSHAKING
 *   shakeHands, on a connection that is open already ─────────────────────────────────▶ HANDSHAKING
 *
 *   any state but OPEN ──(an error, the peer's end, the deadline, shutdown)──▶ FAILED, and onFailed is called
 *   any state but OPEN ──(cancel)──▶ FAILED, and nothing is called
 *
 * The peer is not trusted. Its answer is bounded, parsed strictly, and checked completely before one of its bytes is
 * passed on. Client programs use this room too, so it knows none of the daemon's options.
 */
import { encodeHead } from '../http/encode-head.ts';
import { HttpError } from '../http/error.ts';
import { encodeUpgradeRequest, HandshakeError, readUpgradeResponse } from '../http/handshake.ts';
import { HeadAccumulator } from '../http/head-accumulator.ts';
import { parseResponseHead, type ResponseHead } from '../http/message.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { openConnection } from '../transport/open.ts';
import { secure, type TlsOptions } from '../transport/secure.ts';
import { createKey } from './key.ts';

export const ConnectState = {
  CONNECTING: 'connecting',
  TUNNELLING: 'tunnelling',
  SECURING: 'securing',
  HANDSHAKING: 'handshaking',
  OPEN: 'open',
  FAILED: 'failed',
} as const;
export type ConnectState = (typeof ConnectState)[keyof typeof ConnectState];

/** An HTTP proxy that is asked for a tunnel by CONNECT (RFC 9110, section 9.3.6). */
export interface HttpProxy {
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** The value of Proxy-Authorization; null for none. */
  readonly authorization: string | null;
}

/** The contents of the client's opening handshake. */
export interface HandshakeRequest {
  /** The name or IP address for the Host field. */
  readonly host: string;
  /** The port for the Host field; null if it is the scheme's default, which is left out. */
  readonly port: number | null;
  /** An origin-form: a path that begins with `/`, and a query if there is one. */
  readonly path: string;
  /** Presented as `Authorization: Bearer`; null for none. */
  readonly bearer: string | null;
  /** The offered subprotocols, in this order. */
  readonly subprotocols: readonly string[];
  /** A Sec-WebSocket-Extensions value; null for none. */
  readonly extensions: string | null;
}

export interface ConnectTarget {
  /** The server: an IP address, IPv6 without brackets, or a name, which the system then looks up. */
  readonly host: string;
  readonly port: number;
  /** Null for a plain connection. */
  readonly tls: TlsOptions | null;
  /** Null to connect directly. */
  readonly proxy: HttpProxy | null;
  readonly request: HandshakeRequest;
}

export interface ConnectLimits {
  /** The longest head of an answer that is read, in bytes. */
  readonly maxHeadBytes: number;
  /** The most fields in it. */
  readonly maxHeadFields: number;
}

/** The limits of other clients. */
const CONNECT_LIMITS: ConnectLimits = { maxHeadBytes: 16 * 1024, maxHeadFields: 100 };

/** A connection after its opening handshake. It has no deadline. It is paused unless `onOpened` sets its handler. */
export interface Opened {
  readonly connection: Connection;
  /** The subprotocol that the peer chose; null for none. */
  readonly subprotocol: string | null;
  readonly extensions: string | null;
  /** The bytes after the 101, which are WebSocket frames. They stay valid. */
  readonly rest: Buffer;
}

export interface ConnectFailure {
  /** The state before the failure. A peer that resets at once has accepted, so that is a failure after CONNECTING. */
  readonly state: ConnectState;
  /** The reason in a few words, none of them the peer's. */
  readonly reason: string;
  /** The system's name of the error (`ECONNREFUSED`), or Node's for TLS (`CERT_HAS_EXPIRED`); null if there is none. */
  readonly code: string | null;
  /** The HTTP status in the answer of the peer or the proxy; null if neither answered with an error. */
  readonly status: number | null;
}

/** One of the two is called, once, after `connect` has returned. Neither is called after `cancel`. */
export interface ConnectSink {
  onOpened(opened: Opened): void;
  onFailed(failure: ConnectFailure): void;
}

/** An attempt to connect that has not ended. */
export interface Attempt {
  /** Resets the connection without calling the sink. It does nothing once the attempt has ended. */
  cancel(): void;
}

/**
 * Connects, through a proxy and TLS if the target has them, and performs the opening handshake.
 *
 * @param connections the set that counts the connection
 * @param timeoutMs the time limit for everything together
 * @throws TypeError if the request cannot be written, because its host, path, bearer or a subprotocol is malformed
 */
export function connect(
  target: ConnectTarget,
  connections: Connections,
  timeoutMs: number,
  sink: ConnectSink,
  limits: ConnectLimits = CONNECT_LIMITS,
): Attempt {
  const attempt = new OpeningHandshake(target.request, limits, sink);
  attempt.connect(target, connections, timeoutMs);
  return attempt;
}

/**
 * Begins an attempt for a peer that reconnects for ever. An exception would leave its timer and end the process, so it
 * counts as a failure: a token that fits no field, for example.
 *
 * @param begin starts the attempt, mostly by `connect`
 * @param sink is told of an exception in a later turn
 */
export function attempt(begin: () => Attempt, sink: ConnectSink): Attempt {
  try {
    return begin();
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'a fault of our own';
    const failed = setImmediate(() => sink.onFailed({ state: ConnectState.FAILED, reason, code: null, status: null }));
    return { cancel: () => clearImmediate(failed) };
  }
}

/**
 * Performs the client's opening handshake on an open connection, whichever side opened it. Its handler is replaced.
 *
 * @param before bytes to write before the request, in the same segment; may be empty
 * @throws TypeError see `connect`
 */
export function shakeHands(
  connection: Connection,
  request: HandshakeRequest,
  before: Buffer,
  timeoutMs: number,
  sink: ConnectSink,
  limits: ConnectLimits = CONNECT_LIMITS,
): Attempt {
  const attempt = new OpeningHandshake(request, limits, sink);
  attempt.start(connection, before, timeoutMs);
  return attempt;
}

const NOTHING = Buffer.alloc(0);

class OpeningHandshake implements ConnectionHandler, Attempt {
  #state: ConnectState = ConnectState.CONNECTING;
  /** The part of the request that the answer must match. */
  readonly #offered: { key: string; subprotocols: readonly string[]; extensions: string | null };
  readonly #request: Buffer;
  readonly #limits: ConnectLimits;
  readonly #sink: ConnectSink;
  #accumulator: HeadAccumulator;
  #connection!: Connection;
  /** Null if the connection was already open. */
  #target: ConnectTarget | null = null;

  constructor(request: HandshakeRequest, limits: ConnectLimits, sink: ConnectSink) {
    const { host, port, path, bearer, subprotocols, extensions } = request;
    this.#offered = { key: createKey(), subprotocols, extensions };
    this.#request = encodeUpgradeRequest(host, port, this.#offered, bearer, path);
    this.#limits = limits;
    this.#sink = sink;
    this.#accumulator = new HeadAccumulator(limits.maxHeadBytes, 'response');
  }

  connect(target: ConnectTarget, connections: Connections, timeoutMs: number): void {
    this.#target = target;
    const { host, port } = target.proxy ?? target;
    this.#connection = openConnection(host, port, connections, this, () => this.#onConnected());
    this.#connection.setDeadline(timeoutMs);
  }

  start(connection: Connection, before: Buffer, timeoutMs: number): void {
    this.#connection = connection;
    connection.handler = this;
    connection.setDeadline(timeoutMs);
    this.#shakeHands(before);
    connection.resume();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#state = ConnectState.FAILED;
    this.#connection.reset();
  }

  // ConnectionHandler

  onData(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      const accumulated = this.#accumulator.push(chunk);
      if (accumulated === null) return;
      const head = parseResponseHead(accumulated.head, this.#limits.maxHeadFields);
      if (this.#state === ConnectState.TUNNELLING) this.#onTunnelled(head, accumulated.rest);
      else this.#onAnswer(head, accumulated.rest);
    } catch (error) {
      if (!(error instanceof HandshakeError) && !(error instanceof HttpError)) throw error;
      this.#fail(error.message);
    }
  }

  onEof(): void {
    this.#fail('the connection ended');
  }

  onDrain(): void {}

  onDeadline(): void {
    this.#fail('timed out');
  }

  onGone(): void {
    const { errorCode } = this.#connection;
    if (this.#state === ConnectState.CONNECTING && errorCode === 'ECONNRESET') {
      // A port without a listener refuses. This peer accepted, and reset before the event loop reported that.
      this.#leaveConnecting();
    }
    this.#fail(this.#whyGone(errorCode), errorCode);
  }

  onShutdown(): void {
    this.#fail('shutting down');
  }

  onFault(): void {
    this.#fail('a fault of our own');
  }

  // Transitions

  #onConnected(): void {
    if (this.#isOver) return;
    this.#leaveConnecting();
    switch (this.#state) {
      case ConnectState.TUNNELLING:
        this.#connection.write(encodeConnectRequest(this.#target as ConnectTarget));
        break;
      case ConnectState.SECURING:
        this.#secure();
        break;
      default:
        this.#shakeHands(NOTHING);
    }
  }

  #leaveConnecting(): void {
    const target = this.#target as ConnectTarget;
    if (target.proxy !== null) this.#state = ConnectState.TUNNELLING;
    else this.#state = target.tls === null ? ConnectState.HANDSHAKING : ConnectState.SECURING;
  }

  /**
   * "Any 2xx (Successful) response indicates that the sender ... will switch to tunnel mode" (RFC 9110, section 9.3.6).
   */
  #onTunnelled({ status }: ResponseHead, rest: Buffer): void {
    if (status < 200 || status > 299) {
      this.#fail(`the proxy answered with status ${status}`, null, status);
    } else if (rest.length > 0) {
      // Neither TLS nor HTTP lets the server speak first.
      this.#fail('the proxy said more than its answer');
    } else if (this.#target?.tls) {
      this.#secure();
    } else {
      this.#shakeHands(NOTHING);
    }
  }

  #secure(): void {
    this.#state = ConnectState.SECURING;
    const { tls, host } = this.#target as ConnectTarget;
    const onSecured = () => {
      if (!this.#isOver) this.#shakeHands(NOTHING);
    };
    secure(this.#connection, host, tls as TlsOptions, onSecured).catch((error: NodeJS.ErrnoException) => {
      this.#fail('TLS cannot be used', error.code ?? null);
    });
  }

  #shakeHands(before: Buffer): void {
    this.#state = ConnectState.HANDSHAKING;
    this.#accumulator = new HeadAccumulator(this.#limits.maxHeadBytes, 'response');
    this.#connection.write(before.length === 0 ? this.#request : Buffer.concat([before, this.#request]));
  }

  #onAnswer(head: ResponseHead, rest: Buffer): void {
    if (head.status !== 101) {
      this.#fail(`status ${head.status}`, null, head.status);
      return;
    }
    const { subprotocol, extensions } = readUpgradeResponse(head, this.#offered);
    this.#state = ConnectState.OPEN;
    const connection = this.#connection;
    connection.clearDeadline();
    // The rest is a view of the current chunk, and the caller may keep it.
    if (rest.length > 0) connection.keepChunk();
    this.#sink.onOpened({ connection, subprotocol, extensions, rest });
    // If no handler has been installed yet, further bytes must wait.
    if (connection.handler === this) connection.pause();
  }

  /** Whether the attempt has ended: OPEN or FAILED. */
  get #isOver(): boolean {
    return this.#state === ConnectState.OPEN || this.#state === ConnectState.FAILED;
  }

  #whyGone(errorCode: string | null): string {
    switch (this.#state) {
      case ConnectState.CONNECTING:
        return whyNotConnected(errorCode);
      case ConnectState.SECURING:
        return WHY_NOT_SECURED[errorCode ?? ''] ?? (isTlsError(errorCode) ? 'TLS failed' : 'the connection ended');
      default:
        return 'the connection ended';
    }
  }

  #fail(reason: string, code: string | null = null, status: number | null = null): void {
    if (this.#isOver) return;
    const state = this.#state;
    this.#state = ConnectState.FAILED;
    this.#connection.destroy();
    this.#sink.onFailed({ state, reason, code, status });
  }
}

function encodeConnectRequest({ host, port, proxy }: ConnectTarget): Buffer {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const fields: [string, string][] = [['Host', authority]];
  if (proxy?.authorization) fields.push(['Proxy-Authorization', proxy.authorization]);
  return encodeHead(`CONNECT ${authority} HTTP/1.1`, fields);
}

/** @param code the system's name of the error; null if there is none */
export function whyNotConnected(code: string | null): string {
  return WHY_NOT_CONNECTED[code ?? ''] ?? 'connection failed';
}

const WHY_NOT_CONNECTED: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name cannot be looked up now',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route',
  ENETUNREACH: 'no route',
  ENOTFOUND: 'the name is unknown',
  ETIMEDOUT: 'timed out',
};

/** The most common errors of OpenSSL. The caller also gets them as the failure's code. */
const WHY_NOT_SECURED: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name',
  EPROTO: 'the peer does not speak TLS',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is signed by nobody we trust',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is signed by nobody we trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is signed by nobody we trust',
};

function isTlsError(code: string | null): boolean {
  return code !== null && /^(?:ERR_(?:TLS|SSL)_|CERT_|UNABLE_TO_)/.test(code);
}
