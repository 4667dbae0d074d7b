/** A dashboard, as anyone would write it with `ws`: what came is kept, and can be waited for. */
import { WebSocket } from 'ws';
import type { FromAgent, InitState } from '../../src/protocol/agent.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { deltaSubprotocols, type Position, subprotocols } from '../../src/protocol/subprotocol.ts';
import { registryUrl, relayUrl } from '../../src/protocol/url.ts';

const PATIENCE_MS = 20_000;

// biome-ignore lint/suspicious/noExplicitAny: what agents say is what the tests look into
export type Json = any;

export class Peer {
  readonly socket: WebSocket;
  readonly messages: Json[] = [];
  closed: { code: number; reason: string } | null = null;
  /** Done once the opening handshake is, or has failed. */
  readonly opened: Promise<void>;
  /** How many bytes of messages have come. */
  bytes = 0;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(url: string, protocols: string[]) {
    this.socket = new WebSocket(url, protocols);
    this.socket.on('message', (data: Buffer) => {
      this.bytes += data.length;
      this.messages.push(JSON.parse(String(data)));
      this.#wake();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.opened = new Promise((resolve) => this.socket.once('open', resolve).once('close', resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  say(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message that is one, from behind the last that was waited for. */
  async next(isOne: (message: Json) => boolean, what = isOne.toString()): Promise<Json> {
    return this.#until(() => {
      for (let i = this.#taken; i < this.messages.length; i++) {
        if (!isOne(this.messages[i])) continue;
        this.#taken = i + 1;
        return this.messages[i];
      }
      return undefined;
    }, what);
  }

  /** The next message of that type. */
  type(type: string): Promise<Json> {
    return this.next((message) => message.type === type, type);
  }

  state(state: string): Promise<Json> {
    return this.next((message) => message.type === 'state' && message.state === state, `state ${state}`);
  }

  /** Waits until something holds of what has come. */
  until(holds: () => boolean): Promise<boolean> {
    return this.#until(() => holds() || undefined, holds.toString());
  }

  end(): Promise<{ code: number; reason: string }> {
    return this.#until(() => this.closed ?? undefined, 'the close');
  }

  async #until<T>(look: () => T | undefined, what: string): Promise<T> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (Date.now() >= until || (this.closed !== null && what !== 'the close')) {
        const last = this.messages.slice(-8).map((message) => JSON.stringify(message).slice(0, 200));
        throw new Error(`${what} did not come (${JSON.stringify(this.closed)}); the last:\n${last.join('\n')}`);
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, Math.max(1, until - Date.now()));
        this.#waiting.add(done);
      });
    }
  }
}

/** The whole roster, as it is told. */
export class RosterPeer extends Peer {
  constructor(daemon: string, token: string | null = null) {
    super(registryUrl(daemon, null), subprotocols(token));
  }

  /** The next node that registers. */
  async joined(isOne: (node: Node) => boolean = () => true): Promise<Node> {
    const { node } = await this.next(({ event, node }) => event === 'node_joined' && isOne(node), 'a node that joins');
    return node as Node;
  }

  event(event: string): Promise<Json> {
    return this.next((message) => message.event === event, event);
  }
}

/** @param resumeFrom undefined for a classic client */
export function chat(daemon: string, nodeId: string, resumeFrom?: Position | null, token: string | null = null): Peer {
  const offer = resumeFrom === undefined ? subprotocols(token) : deltaSubprotocols(token, resumeFrom);
  return new Peer(relayUrl(daemon, nodeId, null), offer);
}

/** A chat in delta mode, once its snapshot has come. */
export async function joinChat(
  daemon: string,
  nodeId: string,
  token: string | null = null,
): Promise<[Peer, InitState]> {
  const peer = chat(daemon, nodeId, null, token);
  return [peer, (await peer.type('init_state')) as InitState];
}

/** What a client makes of what it was sent: the text of the message being written. */
export function reassemble(messages: FromAgent[]): string[] {
  const texts: string[] = [];
  let current: string[] | null = null;
  for (const message of messages) {
    if (message.type === 'message_start') current = [];
    else if (message.type === 'message_delta' && current !== null) {
      current[message.index] = (current[message.index] ?? '') + message.delta;
    } else if (message.type === 'message_end' && message.message.role === 'assistant') {
      texts.push((current ?? []).join('|'));
      current = null;
    }
  }
  return texts;
}
