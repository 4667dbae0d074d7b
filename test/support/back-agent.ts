/**
 * An agent that opens connections for the daemon, as anyone would write it with `ws` and Node's own HTTP: it listens on no
 * port that anybody could reach, and gives each connection to its own server as if that had accepted it.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { backUrl } from '../../src/protocol/url.ts';
import { Client, type Json } from './client.ts';

export interface BackAgentOptions {
  /** What it registers with, beside what it must. */
  fields?: Record<string, unknown>;
  /** A certificate to trust, of a daemon behind TLS. */
  ca?: string;
  onConnection?: (socket: WebSocket, request: IncomingMessage) => void;
  /** Called with each ticket; it opens a connection unless this says false. */
  onTicket?: (ticket: string, agent: BackAgent) => boolean;
}

export class BackAgent {
  readonly uplink: Client;
  readonly tickets: string[] = [];
  /** Those that it has opened, in order. */
  readonly sockets: net.Socket[] = [];
  /** What the registration was answered with. */
  answer: Json;
  readonly #registryUrl: string;
  readonly #server = http.createServer();
  readonly #options: BackAgentOptions;

  private constructor(registryUrl: string, uplink: Client, options: BackAgentOptions) {
    this.#registryUrl = registryUrl;
    this.uplink = uplink;
    this.#options = options;
    // A connection waits for its first request for as long as the daemon likes.
    this.#server.headersTimeout = 0;
    this.#server.requestTimeout = 0;
    const wss = new WebSocketServer({ server: this.#server, perMessageDeflate: false });
    wss.on('connection', (socket, request) => {
      socket.on('error', () => {});
      (options.onConnection ?? echo)(socket, request);
    });
  }

  /** @param machine no name of the machine that the daemon is on, or it is dialled after all */
  static async register(registryUrl: string, id: string, options: BackAgentOptions = {}): Promise<BackAgent> {
    const uplink = await Client.open(registryUrl, [], options.ca === undefined ? {} : { ca: options.ca });
    const agent = new BackAgent(registryUrl, uplink, options);
    uplink.socket.on('message', (payload) => {
      const message = JSON.parse(String(payload));
      if (message.event === 'dial_back') agent.#onTicket(message.ticket);
    });
    const params = { id, machine: 'elsewhere', cwd: '/work', port: 9, status: 'active', dial_back: true };
    agent.answer = await uplink.call('register', { ...params, ...options.fields });
    return agent;
  }

  /** Opens a connection with the ticket. @returns the status it was answered with */
  async open(ticket: string): Promise<number> {
    const url = new URL(backUrl(this.#registryUrl, ticket));
    const isSecure = url.protocol === 'wss:';
    url.protocol = isSecure ? 'https:' : 'http:';
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
    };
    const { ca } = this.#options;
    const request = (isSecure ? https : http).get(url, { headers, agent: false, ...(ca === undefined ? {} : { ca }) });
    const upgraded = once(request, 'upgrade').then(([response, socket, head]) => {
      this.#take(socket as net.Socket, head as Buffer);
      return (response as IncomingMessage).statusCode as number;
    });
    const answered = once(request, 'response').then(([response]) => {
      (response as IncomingMessage).resume();
      return (response as IncomingMessage).statusCode as number;
    });
    for (const each of [upgraded, answered]) each.catch(() => {});
    return Promise.race([upgraded, answered]);
  }

  async stop(): Promise<void> {
    this.uplink.terminate();
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  #onTicket(ticket: string): void {
    this.tickets.push(ticket);
    if (this.#options.onTicket?.(ticket, this) ?? true) this.open(ticket).catch(() => {});
  }

  /** From here on the daemon is the client. */
  #take(socket: net.Socket, head: Buffer): void {
    this.sockets.push(socket);
    socket.on('error', () => {});
    if (head.length > 0) socket.unshift(head);
    this.#server.emit('connection', socket);
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (payload, isBinary) => socket.send(payload, { binary: isBinary }));
}
