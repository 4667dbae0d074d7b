/** The WebSocket of one client. It passes the client's messages to the session, and the session's to the client. */
import type { DataOpcode } from '../frame/message.ts';
import { CloseCode, Opcode } from '../frame/vocabulary.ts';
import { AGENT_LIMITS, AgentCloseCode } from '../protocol/agent.ts';
import type { Position } from '../protocol/subprotocol.ts';
import type { Connection } from '../transport/connection.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from '../websocket/websocket.ts';
import type { Agent, ClientConnection } from './agent.ts';
import type { Client } from './audience.ts';

const LIMITS: WebSocketLimits = {
  maxMessageBytes: AGENT_LIMITS.messageBytes,
  maxFragments: 1024,
  /** A large file needs time on a slow line. */
  frameTimeoutMs: 300_000,
  pingIntervalMs: 25_000,
  closingTimeoutMs: 2000,
  maxPingsPerSecond: 100,
};

/** A client with more unread bytes is closed, and may resume. The largest message alone always passes. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** A client with more unread bytes does not get repeated messages. */
const BEHIND_BYTES = 256 * 1024;

export class AgentClient implements WebSocketHandler, Client {
  readonly isClassic: boolean;
  readonly #socket: WebSocketConnection;
  #session: ClientConnection | null = null;

  constructor(connection: Connection, isClassic: boolean) {
    this.isClassic = isClassic;
    this.#socket = new WebSocketConnection(connection, 'server', LIMITS, this);
  }

  /** @param rest the bytes that came after the opening handshake */
  start(agent: Agent, resumeFrom: Position | null, rest: Buffer): void {
    this.#session = agent.connect(this, resumeFrom);
    this.#socket.start(rest);
  }

  // Client

  send(text: string, isRepeated = false): void {
    const socket = this.#socket;
    if (!socket.isOpen || (isRepeated && socket.unsentBytes > BEHIND_BYTES)) return;
    if (socket.unsentBytes > MAX_UNSENT_BYTES) socket.fail(AgentCloseCode.TRY_AGAIN_LATER, 'too far behind');
    else socket.sendText(text);
  }

  close(closeCode: number, closeReason: string): void {
    this.#socket.close(closeCode, closeReason);
  }

  // WebSocketHandler

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode === Opcode.TEXT) this.#session?.receive(payload.toString());
  }

  onClosed(): void {
    this.#session?.gone();
  }

  onShutdown(): void {
    this.#socket.close(CloseCode.GOING_AWAY);
  }
}
