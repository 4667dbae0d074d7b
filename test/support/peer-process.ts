/** An agent or a dashboard in a process of its own, told by messages what to do: for places where a test cannot be. */
import os from 'node:os';
import { Agent } from './agent.ts';
import { Client, type Json } from './client.ts';

const agents: Agent[] = [];

const COMMANDS: Record<string, (params: Json) => Promise<unknown>> = {
  hostName: async () => os.hostname(),

  /** Serves an agent on every interface that answers each message with `says` before it. @returns its port */
  async serve({ says, port = 0 }) {
    const agent = await Agent.serve({
      host: '::',
      server: { port },
      onConnection: (socket) => socket.on('message', (payload) => socket.send(`${says}: ${payload}`)),
    });
    agents.push(agent);
    return agent.port;
  },

  /** Registers the agent that listens on the port, over a connection that stays open. */
  async register({ registryUrl, port, id, machine }) {
    await agents.find((agent) => agent.port === port)?.register(registryUrl, id, { machine });
  },

  /** Says something to an agent. @returns the first message that comes, and how long it took */
  async say({ relayUrl, text }) {
    const began = performance.now();
    const client = await Client.open(relayUrl);
    client.socket.send(text);
    const { payload } = await client.next();
    client.terminate();
    return { message: String(payload), tookMs: performance.now() - began };
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
