/** What ws, nginx and HAProxy do in the same places, with their defaults; each where it is installed. */
import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../../test/support/measure.ts';
import { clientFrame, RawPeer, TEXT } from '../../test/support/raw-peer.ts';
import { type Figure, figure, inKibibytes, inMebibytes, inSeconds, type Part, type Say } from './figure.ts';
import { unfinished } from './fragments.ts';
import { heldByEach, type Pouring, type Relaying } from './relays.ts';
import { growthWhile, withChildren } from './resident.ts';
import { countingSeconds } from './timeouts.ts';
import { serveAgents, sufferedDeadClient, sufferedFrame, sufferedHead, sufferedSilence } from './waiting.ts';

const PATIENCE_MS = 90_000;
const EVENTS = 60_000;
const EVENTS_A_BATCH = 300;

/** As Debian ships it, but for where it listens, one worker, and room for as many relays as are measured. */
const NGINX = (port: number, agentPort: number, folder: string) => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 768; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${agentPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "Upgrade";
    }
  }
}`;

/** The timeouts of Debian's haproxy.cfg; HAProxy itself has none. One thread, as the others. */
const HAPROXY = (port: number, agentPort: number) => `
global
  nbthread 1
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
listen all
  bind 127.0.0.1:${port}
  server agent 127.0.0.1:${agentPort}
`;

interface Proxy {
  name: string;
  versionFlag: string;
  start(agentPort: number): Promise<Relaying>;
}

const PROXIES: Proxy[] = [
  {
    name: 'nginx',
    versionFlag: '-v',
    start: (agentPort) => startProxy('nginx', (port, folder) => NGINX(port, agentPort, folder), ['-c']),
  },
  {
    name: 'haproxy',
    versionFlag: '-v',
    start: (agentPort) => startProxy('haproxy', (port) => HAPROXY(port, agentPort), ['-db', '-f']),
  },
];

export const peers: Part = {
  title: 'Peers, with their defaults',
  async run(say) {
    const figures: Figure[] = [];
    const installed: Proxy[] = [];
    for (const proxy of PROXIES) {
      const version = await versionOf(proxy);
      figures.push(figureOf(proxy.name, 'version', version ?? 'not installed'));
      if (version !== null) installed.push(proxy);
    }
    for (const { name, start } of installed) {
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
async function patience(proxies: Proxy[], say: Say): Promise<Figure[]> {
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
    for (const { name, start } of proxies) {
      const proxy = await start(agent.port);
      running.push(proxy);
      ask(name, proxy, true);
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

async function startProxy(
  name: string,
  configure: (port: number, folder: string) => string,
  args: string[],
): Promise<Relaying> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-limits-'));
  const port = await freePort();
  const file = join(folder, 'configuration');
  await writeFile(file, configure(port, folder));
  const child = spawn(name, [...args, file], { stdio: 'ignore' });
  await eventually(async () => {
    (await RawPeer.connect(port)).socket.destroy();
  });
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

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

async function versionOf({ name, versionFlag }: Proxy): Promise<string | null> {
  try {
    const { stdout, stderr } = await promisify(execFile)(name, [versionFlag]);
    return /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? 'unknown';
  } catch {
    return null;
  }
}
