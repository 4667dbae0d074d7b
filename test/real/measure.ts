/**
 * What the extension costs, and saves, in real pis: `npm run measure:real`.
 *
 *   start    processor time of a headless pi until it answers over RPC and is at rest, and its resident memory then: with the
 *            extension, with an empty one, without. The clock on the wall would tell of what else the machine does.
 *   turn     bytes that a client is sent for one answer of so many tokens: in classic mode and in delta mode
 *   event    processor time of pi per piece of an answer: with no client, with one in delta mode, with one in classic mode
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { installPis } from './install.ts';
import { Model } from './model.ts';
import { chat, joinChat, type Peer, RosterPeer } from './peers.ts';

await installPis();
const { PIS, EXTENSION } = await import('./pis.ts');
const ROUNDS = 9;
const TOKENS = 2000;
const MB = 1024 * 1024;

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

async function statusOf(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
}

/** Processor time of a process so far, in milliseconds. */
async function processorMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

for (const pi of PIS) {
  const model = await Model.start();
  const home = await Home.create(model.url);
  const daemon = await Daemon.start();
  const empty = path.join(home.path, 'empty.mjs');
  await writeFile(empty, 'export default function () {}\n');
  const environment = { HYPIVISOR_WS: daemon.registryUrl };

  const starts: Record<string, { ms: number[]; bytes: number[] }> = {};
  const kinds: [name: string, extensions: string[]][] = [
    ['none', []],
    ['an empty extension', [empty]],
    ['pi-socket', [EXTENSION]],
  ];
  // In turns, so that what else the machine does meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, extensions] of kinds) {
      const headless = new HeadlessPi(pi, home, environment, [], extensions);
      await headless.rpc({ type: 'get_state' });
      starts[name] ??= { ms: [], bytes: [] };
      await new Promise((resolve) => setTimeout(resolve, 500));
      starts[name].ms.push(await processorMs(headless.process.pid as number));
      starts[name].bytes.push(await statusOf(headless.process.pid as number, 'VmRSS'));
      await headless.quit();
    }
  }
  console.log(`\npi ${pi.version}`);
  for (const [name, { ms, bytes }] of Object.entries(starts)) {
    console.log(`  start, ${name}: ${median(ms).toFixed(0)} ms, ${(median(bytes) / MB).toFixed(1)} MB`);
  }

  const roster = new RosterPeer(daemon.origin);
  const headless = new HeadlessPi(pi, home, environment);
  const { id, pid = 0 } = await roster.joined();
  const turn = async (peers: Peer[]): Promise<number> => {
    const before = await processorMs(pid);
    await headless.rpc({ type: 'prompt', message: `say ${TOKENS}` });
    for (;;) {
      const { data } = await headless.rpc({ type: 'get_state' });
      if (!(data as { isStreaming: boolean }).isStreaming) break;
    }
    for (const peer of peers)
      await peer.until(() => JSON.stringify(peer.messages.at(-1)).includes('assistant') || true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await processorMs(pid)) - before;
  };
  await turn([]);
  const alone = median([await turn([]), await turn([]), await turn([])]);
  const [delta] = await joinChat(daemon.origin, id);
  const deltaBytes = delta.bytes;
  const withDelta = await turn([delta]);
  const newBytes = delta.bytes - deltaBytes;
  const deltaMs = median([withDelta, await turn([delta]), await turn([delta])]);
  delta.socket.terminate();
  const classic = chat(daemon.origin, id);
  await classic.type('init_state');
  const classicBytes = classic.bytes;
  const withClassic = await turn([classic]);
  const oldBytes = classic.bytes - classicBytes;
  const classicMs = median([withClassic, await turn([classic]), await turn([classic])]);
  classic.socket.terminate();
  const perEvent = (ms: number) => `${((Math.max(0, ms - alone) / TOKENS) * 1000).toFixed(0)} µs`;
  console.log(
    `  turn of ${TOKENS} tokens: ${(oldBytes / 1e6).toFixed(2)} MB classic, ${(newBytes / 1e6).toFixed(3)} MB delta`,
  );
  console.log(`  event, beside a turn with no client: ${perEvent(deltaMs)} delta, ${perEvent(classicMs)} classic`);

  roster.socket.terminate();
  await headless.quit();
  model.stop();
  await daemon.stop();
  await home.remove();
}
