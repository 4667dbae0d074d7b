/** Clients that open relays and reset them before the agent has answered, as fast as they can, and a client beside them. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent } from '../support/agent.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { atMost, type Figure, figure, inMs, type Part, type Say, spread } from './figure.ts';

const ASKED = 200;
const PAUSE_MS = 10;
const SERVED_WITHIN_MS = 100;
const WARM_UP_MS = 5000;
const LANES = 64;
const COUNTS_EVERY_MS = 100;

/** When a client resets: as soon as its request is out, or when the daemon's dial arrives at the agent. */
export type ResetAt = 'the request' | 'the dial';

interface RushOptions {
  port: number;
  /** Clients connect from this address. */
  from: string;
  resetAt: ResetAt;
}

interface Served {
  tookMs: number[];
  resetsPerSecond: number;
  /** In all, the warm-up included. */
  resets: number;
}

export const dials: Part = {
  title: 'Relays that are opened and reset before the agent has answered, as fast as one process can',
  async run(say) {
    const alone = spread((await besideRush(null, ASKED, WARM_UP_MS, say)).tookMs);
    const figures: Figure[] = [
      figure(
        'a client without them is served after, 99 of 100; half of them',
        `${inMs(alone.p99)}; ${inMs(alone.median)}`,
      ),
    ];
    for (const resetAt of ['the request', 'the dial'] as const) {
      for (const [whose, from] of [
        ['another address', '127.0.0.2'],
        ['the same address', '127.0.0.1'],
      ] as const) {
        const what = `reset at ${resetAt}, from ${whose}`;
        const tell = (text: string) => say(`${what}: ${text}`);
        const { tookMs, resetsPerSecond } = await besideRush({ from, resetAt }, ASKED, WARM_UP_MS, tell);
        const { median, p99, max } = spread(tookMs);
        figures.push(
          figure(`${what}: resets in a second`, resetsPerSecond.toFixed(0)),
          atMost(`${what}: a client beside them is served after, 99 of 100`, p99, SERVED_WITHIN_MS, inMs),
          figure(`${what}: … half of them, and the last`, `${inMs(median)}, ${inMs(max)}`),
        );
      }
    }
    return figures;
  },
};

/**
 * Opens relays beside the rush, one after the other, each for one message and its echo.
 *
 * @param options null for no rush, to compare with
 * @param asked how many
 * @param warmUpMs how long the rush goes on before the first
 */
export async function besideRush(
  options: Omit<RushOptions, 'port'> | null,
  asked: number,
  warmUpMs: number,
  say: Say,
): Promise<Served> {
  const daemon = await Daemon.start();
  const [agent, silentAgent] = [await Agent.serve(), await Agent.serve({ onConnection: () => {} })];
  let rush: Rush | undefined;
  try {
    await agent.register(daemon.registryUrl, 'echo');
    if (options !== null) {
      rush = await Rush.start({ ...options, port: daemon.port });
      await silentAgent.register(daemon.registryUrl, 'silent', { port: rush.agentPort });
      rush.begin();
    }
    // The daemon's code is compiled by then.
    await delay(warmUpMs);
    await eventually(() => assert.ok(rush === undefined || rush.resets > 0, 'the rush has begun'), 30_000);
    const [began, resetsBefore] = [performance.now(), rush?.resets ?? 0];
    const tookMs: number[] = [];
    while (tookMs.length < asked) {
      say(`${tookMs.length} of ${asked} served`);
      tookMs.push(await timeOfService(daemon.port));
      await delay(PAUSE_MS);
    }
    const seconds = (performance.now() - began) / 1000;
    const resets = rush?.resets ?? 0;
    return { tookMs, resetsPerSecond: (resets - resetsBefore) / seconds, resets };
  } finally {
    await rush?.stop();
    await agent.stop();
    await silentAgent.stop();
    await daemon.stop();
  }
}

async function timeOfService(port: number): Promise<number> {
  const began = performance.now();
  const peer = await RawPeer.upgrade(port, '/ws/agent/echo');
  try {
    peer.socket.write(clientFrame(TEXT, 'are you there?'));
    await peer.frame();
    return performance.now() - began;
  } finally {
    peer.socket.destroy();
  }
}

/** The clients that reset, and the agent that never answers, in a process of their own. */
class Rush {
  readonly agentPort: number;
  /** How many connections were reset. */
  resets = 0;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, agentPort: number) {
    this.#process = process;
    this.agentPort = agentPort;
    process.on('message', (resets: number) => {
      this.resets = resets;
    });
  }

  static async start(options: RushOptions): Promise<Rush> {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], { execArgv: ['--import', 'tsx'] });
    const [agentPort] = await once(child, 'message');
    return new Rush(child, agentPort);
  }

  begin(): void {
    this.#process.send('begin');
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

async function main({ port, from, resetAt }: RushOptions): Promise<void> {
  /** Those whose dial has not arrived, in the order in which they came. */
  const waiting = new Set<net.Socket>();
  const agent = net.createServer((socket) => {
    socket.on('error', () => {});
    const [client] = waiting;
    client?.resetAndDestroy();
  });
  agent.listen(0, '127.0.0.1');
  await once(agent, 'listening');
  let resets = 0;
  const request = upgradeRequest('/ws/agent/silent');
  const openAndReset = () =>
    new Promise<void>((resolve) => {
      const socket = net.connect({ host: '127.0.0.1', port, localAddress: from });
      socket.on('error', () => {});
      // Read, so that an answer from the daemon ends the connection too.
      socket.resume();
      socket.once('connect', () => {
        if (resetAt === 'the dial') waiting.add(socket);
        socket.write(request, () => {
          if (resetAt === 'the request') socket.resetAndDestroy();
        });
      });
      socket.once('close', () => {
        waiting.delete(socket);
        resets++;
        resolve();
      });
    });
  const lane = async () => {
    for (;;) await openAndReset();
  };
  process.send?.((agent.address() as net.AddressInfo).port);
  await once(process, 'message');
  setInterval(() => process.send?.(resets), COUNTS_EVERY_MS);
  await Promise.all(Array.from({ length: LANES }, lane));
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit());
  await main(JSON.parse(process.argv[2] as string));
}
