/** An agent or a dashboard in a process of its own, told by messages what to do: for places where a test cannot be. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import os from 'node:os';
import { createHypivisor, type Hypivisor } from 'hypivisor';
import { ImitationPi } from '../agent/imitation.ts';
import { joinChat, reassemble } from '../real/peers.ts';
import { Agent } from './agent.ts';
import { BackAgent } from './back-agent.ts';
import { Client, type Json } from './client.ts';
import { Dashboard } from './dashboard.ts';

const agents: Agent[] = [];
let hub: Hypivisor | null = null;
let dashboard: Dashboard | null = null;

const COMMANDS: Record<string, (params: Json) => Promise<unknown>> = {
  hostName: async () => os.hostname(),

  /**
   * Serves an agent on every interface that answers each message with `says` before it. With a key it takes nobody who does
   * not present that. @returns its port
   */
  async serve({ says, port = 0, dialKey, host = '::' }) {
    const knows = (request: IncomingMessage) =>
      dialKey === undefined || request.headers.authorization === `Bearer ${dialKey}`;
    const agent = await Agent.serve({
      host,
      server: { port, verifyClient: ({ req }: { req: IncomingMessage }) => knows(req) },
      onConnection: (socket) => socket.on('message', (payload) => socket.send(`${says}: ${payload}`)),
    });
    agents.push(agent);
    return agent.port;
  },

  /** Registers the agent that listens on the port, over a connection that stays open. */
  async register({ registryUrl, port, id, machine, dialKey, shownPort = port }) {
    const fields = { machine, dialKey, port: shownPort };
    await agents.find((agent) => agent.port === port)?.register(registryUrl, id, fields);
  },

  async deregister({ port, id }) {
    await agents.find((agent) => agent.port === port)?.uplink?.call('deregister', { id });
  },

  /** A name server on this machine that never answers. */
  async serveNoNames() {
    const socket = dgram.createSocket('udp4');
    socket.bind(53, '127.0.0.1');
    await once(socket, 'listening');
  },

  /** Registers an agent that opens connections for the daemon, and answers as `serve` says. */
  async registerBack({ registryUrl, id, says, machine }) {
    await BackAgent.register(registryUrl, id, {
      fields: { machine },
      onConnection: (socket) => socket.on('message', (payload) => socket.send(`${says}: ${payload}`)),
    });
  },

  /** Runs the extension in a pi that is only played. */
  async startPi({ registryUrl, home }) {
    Object.assign(process.env, { HOME: home, HYPIVISOR_WS: registryUrl, PI_SOCKET_RECONNECT_MS: '100' });
    await new ImitationPi().start();
  },

  /** Prompts an agent of that kind. @returns its answers */
  async chat({ origin, id, token, text }) {
    const [peer] = await joinChat(origin, id, token);
    try {
      peer.say({ type: 'prompt', id: 'p1', text });
      await peer.state('idle');
      return reassemble(peer.messages);
    } finally {
      peer.socket.terminate();
    }
  },

  /** Runs a hub here. @returns its port */
  async startHub({ join = [], ...options }) {
    const joins = join.map(({ caFile, ...each }: Json) =>
      caFile === undefined ? each : { ...each, ca: readFileSync(caFile, 'utf8') },
    );
    hub = createHypivisor({ port: 0, home: '/nonexistent', join: joins, ...options });
    return (await hub.listen()).port;
  },

  /** Opens a dashboard here, which goes by what it is told. */
  async watch({ registryUrl }) {
    dashboard = await Dashboard.open(registryUrl);
  },

  /** What that dashboard shows now, and what it was told of so far. */
  async seen() {
    return { nodes: dashboard?.nodes, machines: dashboard?.machines, events: dashboard?.events };
  },

  /** Asks a registry. @returns its answer */
  async ask({ registryUrl, method, params = {} }) {
    const client = await Client.open(registryUrl);
    try {
      return await client.call(method, params);
    } finally {
      client.terminate();
    }
  },

  /** Says something to an agent. @returns the first message that comes, and how long that and the opening took */
  async say({ relayUrl, text }) {
    const began = performance.now();
    const client = await Client.open(relayUrl);
    const openedMs = performance.now() - began;
    client.socket.send(text);
    const { payload } = await client.next();
    client.terminate();
    return { message: String(payload), openedMs, tookMs: performance.now() - began };
  },
};

process.on('message', async ({ id, command, params }: Json) => {
  try {
    process.send?.({ id, result: await COMMANDS[command]?.(params) });
  } catch (error) {
    process.send?.({ id, error: String(error) });
  }
});
process.on('disconnect', () => process.exit());
