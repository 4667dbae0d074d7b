/** An agent as anyone would write it with `ws`: a WebSocket server of its own, and a registration. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { Client, type Json } from './client.ts';

export interface AgentOptions {
  host?: string;
  server?: ServerOptions;
  onConnection?: (socket: WebSocket, request: IncomingMessage) => void;
}

export class Agent {
  readonly server: WebSocketServer;
  readonly port: number;
  uplink: Client | null = null;

  private constructor(server: WebSocketServer) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Serves on a free port; by default it says what it gets. */
  static async serve({ host = '127.0.0.1', server = {}, onConnection = echo }: AgentOptions = {}): Promise<Agent> {
    const wss = new WebSocketServer({ host, port: 0, perMessageDeflate: false, ...server });
    await once(wss, 'listening');
    wss.on('connection', (socket, request) => {
      socket.on('error', () => {});
      onConnection(socket, request);
    });
    return new Agent(wss);
  }

  info(id: string, fields: Record<string, unknown> = {}): Json {
    return { id, machine: '127.0.0.1', cwd: '/work', port: this.port, status: 'active', pid: process.pid, ...fields };
  }

  /** Registers over a connection of its own, and keeps that open. */
  async register(registryUrl: string, id: string, fields: Record<string, unknown> = {}): Promise<Client> {
    const uplink = await Client.open(registryUrl);
    this.uplink = uplink;
    const answer = await uplink.call('register', this.info(id, fields));
    if (answer.error) throw new Error(answer.error);
    return uplink;
  }

  async stop(): Promise<void> {
    this.uplink?.terminate();
    for (const socket of this.server.clients) socket.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (payload, isBinary) => socket.send(payload, { binary: isBinary }));
}
