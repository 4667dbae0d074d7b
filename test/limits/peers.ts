/** What ws, nginx and HAProxy do in the same places, with their defaults; each where it is installed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { growthWhile, withChildren } from '../../bench/resident.ts';
import { haproxy, nginx, type ProxyProgram, proxyVersion, startProxy } from '../../bench/subjects/proxies.ts';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';
import { type Figure, figure, inKibibytes, inMebibytes, inSeconds, type Part, type Say } from './figure.ts';
import { unfinished } from './fragments.ts';
import { heldByEach, type Pouring, type Relaying } from './relays.ts';
import { countingSeconds } from './timeouts.ts';
import { serveAgents, sufferedDeadClient, sufferedFrame, sufferedHead, sufferedSilence } from './waiting.ts';

const PATIENCE_MS = 90_000;
const EVENTS = 60_000;
const EVENTS_A_BATCH = 300;

const PROXIES = { nginx, haproxy };

export const peers: Part = {
  title: 'Peers, with their defaults',
  async run(say) {
    const figures: Figure[] = [];
    const installed: [string, ProxyProgram][] = [];
    for (const [name, proxy] of Object.entries(PROXIES)) {
      const version = await proxyVersion(proxy);
      figures.push(figureOf(name, 'version', version ?? 'not installed'));
      if (version !== null) installed.push([name, proxy]);
    }
    for (const [name, proxy] of installed) {
      const start = (agentPort: number) => startBefore(proxy, agentPort);
      for (const pouring of ['client to agent', 'agent to client'] as Pouring[]) {
        const { resident } = await heldByEach(pouring, (text) => say(`${name}: ${text}`), start);
        figures.push(figureOf(name, `memory for each blocked relay, ${pouring}`, inKibibytes(resident)));
      }
    }
    figures.push(...(await memoryOfWs(say)));
    figures.push(...(await patience(installed, say)));
    return figures;
  },
};

function figureOf(name: string, what: string, measured: string): Figure {
  return figure(`${name}: ${what}`, measured);
}

/** How long each waits for whom; all at once. */
async function patience(proxies: readonly [string, ProxyProgram][], say: Say): Promise<Figure[]> {
  const agent = await serveAgents();
  const running: Relaying[] = [];
  const waiting: Promise<Figure>[] = [];
  const ask = (name: string, { port, path }: Relaying, isProxy: boolean) => {
    const target = { port, path };
    waiting.push(
      told(name, 'a head that stops half-way', sufferedHead(port, PATIENCE_MS, false)),
      told(name, 'a head that drips, a byte a second', sufferedHead(port, PATIENCE_MS, true)),
      told(name, 'a connection that says nothing', sufferedSilence(port, PATIENCE_MS)),
      told(name, 'a client that is dead', sufferedDeadClient(target, PATIENCE_MS)),
    );
    if (!isProxy) waiting.push(told(name, 'half a frame', sufferedFrame(target, PATIENCE_MS, false)));
  };
  try {
    for (const [name, proxy] of proxies) {
      const relaying = await startBefore(proxy, agent.port);
      running.push(relaying);
      ask(name, relaying, true);
    }
    const ws = await startWs();
    running.push(ws);
    ask('ws', ws, false);
    return await countingSeconds(say, waiting);
  } finally {
    for (const one of running) await one.stop();
    await agent.stop();
  }
}

async function told(name: string, what: string, waiting: Promise<number | null>): Promise<Figure> {
  const tookMs = await waiting;
  return figureOf(
    name,
    what,
    tookMs === null ? `not ended in ${PATIENCE_MS / 1000} s` : `ended after ${inSeconds(tookMs)}`,
  );
}

async function memoryOfWs(say: Say): Promise<Figure[]> {
  const ws = await startWs();
  try {
    const pids = await ws.pids();
    const { grownBytes, closeCodes } = await unfinished(ws, 16_000, pids);
    const figures = [
      figureOf(
        'ws',
        `50 clients with 16,000 one-byte fragments, ${closeCodes.length} closed: grows by`,
        inMebibytes(grownBytes),
      ),
    ];
    await pour(ws, () => {});
    const sleeper = await RawPeer.upgrade(ws.port, ws.path);
    sleeper.socket.pause();
    const grown = await growthWhile(pids, () => pour(ws, (sent) => say(`ws: ${sent} of ${EVENTS} events`)));
    sleeper.socket.destroy();
    figures.push(figureOf('ws', `one reader that never reads, ${EVENTS} events: grows by`, inMebibytes(grown)));
    return figures;
  } finally {
    await ws.stop();
  }
}

/** As many events as the daemon's readers get, and as large. */
async function pour(ws: Relaying, onSent: (sent: number) => void): Promise<void> {
  const source = await RawPeer.upgrade(ws.port, '/source');
  source.socket.removeAllListeners('data').resume();
  const batch = Buffer.concat(Array.from({ length: EVENTS_A_BATCH }, () => clientFrame(TEXT, 'x'.repeat(380))));
  for (let sent = 0; sent < EVENTS; sent += EVENTS_A_BATCH) {
    source.socket.write(batch);
    onSent(sent);
    await delay(25);
  }
  await delay(1000);
  source.socket.destroy();
}

async function startWs(): Promise<Relaying> {
  const child = fork(fileURLToPath(new URL('ws-server.ts', import.meta.url)), { execArgv: ['--import', 'tsx'] });
  const [port] = await once(child, 'message');
  return { port, path: '/', pids: async () => [child.pid as number], stop: () => end(child) };
}

async function startBefore(proxy: ProxyProgram, agentPort: number): Promise<Relaying> {
  const { child, port, folder } = await startProxy(proxy, agentPort);
  return {
    port,
    path: '/',
    pids: () => withChildren(child.pid as number),
    stop: async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
