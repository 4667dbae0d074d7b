/**
 * A hub that joins another, as anyone would write it with `ws` and Node's own HTTP: it shares nodes, opens connections when
 * it is asked to, and serves `/ws/agent/{id}` on them as if it had accepted them.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import type net from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { backUrl } from '../../src/protocol/url.ts';
import { Client, type Json } from './client.ts';

export interface LowerHubOptions {
  name?: string;
  /** Makes its id. Default: one for each name. */
  key?: string;
  features?: string[];
  /** Serves one relay to a node of it. Default: it echoes. */
  onConnection?: (socket: WebSocket, request: IncomingMessage) => void;
  /** Called with each ticket; it opens a connection unless this says false. */
  onTicket?: (ticket: string, hub: LowerHub) => boolean;
}

export class LowerHub {
  readonly uplink: Client;
  readonly name: string;
  readonly id: string;
  /** What it presents to show that the id is its own. */
  readonly key: string;
  readonly tickets: string[] = [];
  /** Those that it has opened, in order. */
  readonly sockets: net.Socket[] = [];
  /** The paths that it was asked for, and what came with them. */
  readonly requests: IncomingMessage[] = [];
  epoch = randomBytes(8).toString('hex');
  seq = 0;
  readonly #registryUrl: string;
  readonly #server = http.createServer();
  readonly #options: LowerHubOptions;

  private constructor(registryUrl: string, uplink: Client, options: LowerHubOptions) {
    this.#registryUrl = registryUrl;
    this.uplink = uplink;
    this.#options = options;
    this.name = options.name ?? 'laptop';
    this.key = options.key ?? `key of ${this.name}`;
    this.id = createHash('sha256').update(this.key).digest('hex').slice(0, 32);
    // A connection waits for its first request for as long as the upper hub likes.
    this.#server.headersTimeout = 0;
    this.#server.requestTimeout = 0;
    const wss = new WebSocketServer({ server: this.#server, perMessageDeflate: false });
    wss.on('connection', (socket, request) => {
      socket.on('error', () => {});
      this.requests.push(request);
      (options.onConnection ?? echo)(socket, request);
    });
    uplink.socket.on('message', (payload) => {
      const message = JSON.parse(String(payload));
      if (message.event === 'dial_back') this.#onTicket(message.ticket);
    });
  }

  /** Connects, without joining. */
  static async connect(registryUrl: string, options: LowerHubOptions = {}): Promise<LowerHub> {
    return new LowerHub(registryUrl, await Client.open(registryUrl), options);
  }

  static async join(registryUrl: string, options: LowerHubOptions = {}): Promise<LowerHub> {
    const hub = await LowerHub.connect(registryUrl, options);
    const { error } = await hub.join();
    if (error !== undefined) throw new Error(error);
    return hub;
  }

  join(params: object = {}): Promise<Json> {
    const { id, key, name } = this;
    const features = this.#options.features ?? ['roster', 'relay', 'spawn'];
    const now = Math.floor(Date.now() / 1000);
    return this.uplink.call('join', { id, key, name, version: '0', features, below: [], now, ...params });
  }

  share(params: object): Promise<Json> {
    this.seq++;
    const now = Math.floor(Date.now() / 1000);
    return this.uplink.call('share', { epoch: this.epoch, seq: this.seq, now, ...params });
  }

  node(id: string, fields: Json = {}): Json {
    const node = { id, machine: this.name, cwd: '/there', port: 80, status: 'active', last_seen: 5 };
    return { ...node, path: [this.id], ...fields };
  }

  /** Opens a connection with the ticket. */
  open(ticket: string): void {
    const url = new URL(backUrl(this.#registryUrl, ticket));
    url.protocol = 'http:';
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
    };
    const request = http.get(url, { headers, agent: false });
    request.on('error', () => {});
    request.on('response', (response) => response.resume());
    once(request, 'upgrade').then(
      ([, socket, head]) => {
        this.sockets.push(socket as net.Socket);
        (socket as net.Socket).on('error', () => {});
        if ((head as Buffer).length > 0) (socket as net.Socket).unshift(head as Buffer);
        // From here on the upper hub is the client.
        this.#server.emit('connection', socket);
      },
      () => {},
    );
  }

  stop(): void {
    this.uplink.terminate();
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  #onTicket(ticket: string): void {
    this.tickets.push(ticket);
    if (this.#options.onTicket?.(ticket, this) ?? true) this.open(ticket);
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (payload, isBinary) => socket.send(payload, { binary: isBinary }));
}
