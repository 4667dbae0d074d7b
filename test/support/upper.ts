/** A hub above as anyone would write it with `ws`: it says what it is told to, and takes what comes. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Json } from './client.ts';
import { eventually } from './measure.ts';

export interface UpperOptions {
  /** What a `join` is answered with; null for nothing. */
  onJoin?: (request: Json) => Json;
  onShare?: (request: Json) => Json;
}

const ID = 'f'.repeat(32);

export class Upper {
  readonly #server: http.Server;
  readonly #options: UpperOptions;
  /** The hubs' connections so far. */
  readonly links: WebSocket[] = [];
  /** All that hubs have said. */
  readonly said: Json[] = [];
  /** Connections that were opened for tickets, with the tickets. */
  readonly backs: { socket: Socket; ticket: string }[] = [];

  private constructor(server: http.Server, options: UpperOptions) {
    this.#server = server;
    this.#options = options;
  }

  static async start(t: TestContext, options: UpperOptions = {}): Promise<Upper> {
    const server = http.createServer();
    const upper = new Upper(server, options);
    const wss = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      const ticket = /^\/ws\/back\/(.*)$/.exec(request.url ?? '')?.[1];
      if (ticket !== undefined) upper.#takeBack(request, socket as Socket, ticket);
      else wss.handleUpgrade(request, socket, head, (link) => upper.#take(link));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const { socket } of upper.backs) socket.destroy();
      for (const link of upper.links) link.terminate();
      server.close();
    });
    return upper;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`;
  }

  /** To the hub that came last. */
  push(message: Json): void {
    this.links.at(-1)?.send(JSON.stringify(message));
  }

  request(request_id: string, method: string, params: Json = {}): void {
    this.push({ event: 'request', request_id, method, params });
  }

  /** What the hub has answered to a request. */
  async answer(request_id: string): Promise<Json> {
    return eventually(() => {
      const found = this.said.find(({ method, params }) => method === 'respond' && params.request_id === request_id);
      if (found === undefined) throw new Error(`no answer to ${request_id}`);
      return found.params;
    }, 30_000);
  }

  countOf(method: string): number {
    return this.said.filter((it) => it.method === method).length;
  }

  #take(link: WebSocket): void {
    this.links.push(link);
    link.on('error', () => {});
    link.on('message', (text) => {
      const request = JSON.parse(String(text));
      this.said.push(request);
      const { onJoin, onShare } = this.#options;
      const joined = { result: { status: 'joined', id: ID, name: 'above', version: '1' } };
      const shared = { result: { status: 'shared', seq: request.params?.seq } };
      let answer: Json = null;
      if (request.method === 'join') answer = onJoin === undefined ? joined : onJoin(request);
      if (request.method === 'share') answer = onShare === undefined ? shared : onShare(request);
      if (answer !== null) link.send(JSON.stringify({ id: request.id, ...answer }));
    });
  }

  #takeBack(request: http.IncomingMessage, socket: Socket, ticket: string): void {
    this.backs.push({ socket, ticket });
    socket.on('error', () => {});
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
  }
}
