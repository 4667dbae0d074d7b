/** The time from a start to the first byte, and its cost. */
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds } from '../cpu.ts';
import { afterwards, spawnProcess, stopProcesses } from '../processes.ts';
import { residentBytes, withChildren } from '../resident.ts';
import type { Measurement, Scenario, Target, Workload } from '../scenario.ts';
import { freePort } from '../subjects/free-port.ts';
import {
  bunProgram,
  emptyProgram,
  netProgram,
  ourProgram,
  type ProgramSubject,
  wsProgram,
} from '../subjects/programs.ts';
import { YARDSTICK } from '../subjects/yardstick.ts';

const STARTS = 5;
const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';
const RETRY_MS = 1;
/** A process rests if it has used next to nothing for this long. */
const REST_MS = 100;
const REST_CPU_SECONDS = 0.000_2;
const PATIENCE_MS = 10_000;

const CPU = 'ms of CPU';
const FIRST_BYTE = 'ms to the first byte';

interface Started {
  cpuMs: number;
  /** Null if the program does not serve. */
  firstByteMs: number | null;
  residentBytes: number;
}

async function start({ command, args, env }: ProgramSubject, serves: boolean): Promise<Started> {
  const port = await freePort();
  const home = await mkdtemp(join(tmpdir(), 'hypivisor-bench-'));
  afterwards(() => rm(home, { recursive: true, force: true }));
  const begunAt = performance.now();
  const child = spawnProcess(command, args(port), {
    env: { PATH: process.env.PATH, HOME: home, ...env?.(port) },
    stdio: 'ignore',
  });
  const firstByteMs = serves ? (await firstByteAt(port)) - begunAt : null;
  const pids = await withChildren(child.pid as number);
  const cpuMs = (await cpuAtRest(pids)) * 1000;
  const started = { cpuMs, firstByteMs, residentBytes: await residentBytes(pids) };
  await stopProcesses();
  return started;
}

async function firstByteAt(port: number): Promise<number> {
  const endsAt = performance.now() + PATIENCE_MS;
  while (performance.now() < endsAt) {
    const at = await ask(port);
    if (at !== null) return at;
    await delay(RETRY_MS);
  }
  throw new Error('it did not serve');
}

/** @returns when the first byte came; null if no program listens yet */
async function ask(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('error', () => resolve(null));
    socket.once('connect', () => socket.write(REQUEST));
    socket.once('data', () => {
      resolve(performance.now());
      socket.destroy();
    });
  });
}

async function cpuAtRest(pids: readonly number[]): Promise<number> {
  for (let before = cpuSeconds(pids); ; ) {
    await delay(REST_MS);
    const now = cpuSeconds(pids);
    if (now - before < REST_CPU_SECONDS) return now;
    before = now;
  }
}

function workload(
  name: string,
  subjects: readonly ProgramSubject[],
  targets: readonly Target[],
): Workload<ProgramSubject> {
  return {
    name,
    subjects,
    targets,
    quick: true,
    maxRounds: 3,
    seconds: 2,
    async measure(subject): Promise<Measurement> {
      const starts: Started[] = [];
      for (let i = 0; i < STARTS; i++) starts.push(await start(subject, subject !== emptyProgram));
      const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(STARTS / 2)] as number;
      const firstBytes = starts.flatMap(({ firstByteMs }) => firstByteMs ?? []);
      const cpuMs = median(starts.map((started) => started.cpuMs));
      return {
        work: 1,
        cpuSeconds: cpuMs / 1000,
        seconds: 0,
        residentBytes: median(starts.map((started) => started.residentBytes)),
        extra: { [CPU]: cpuMs, ...(firstBytes.length > 0 && { [FIRST_BYTE]: median(firstBytes) }) },
      };
    },
  };
}

const METHOD = `Each figure is the median of ${STARTS} starts of a new process, whose files the system has in memory. The process is asked for \`/healthz\` again and again, ${RETRY_MS} ms apart, until it answers. ${wsProgram.name} is the registry on ws, ${bunProgram.name} an echo server.`;

export const startCpu: Scenario = {
  name: 'start-cpu',
  title: 'Start: processor time',
  description: `${METHOD} The figure is the processor time until the process rests, which it does once it has used next to nothing for ${REST_MS} ms. The empty Node waits for a timer; the yardstick, ${YARDSTICK.name}, listens like the daemon and has one answer for every request.`,
  unit: 'starts',
  baseline: emptyProgram.name,
  headline: CPU,
  workloads: [
    workload(
      'until it rests',
      [ourProgram, emptyProgram, netProgram, wsProgram, bunProgram],
      [{ peer: emptyProgram.name, figure: CPU, atMostMore: 15 }],
    ),
  ],
};

export const startFirstByte: Scenario = {
  name: 'start-first-byte',
  title: 'Start: time to the first byte',
  description: `${METHOD} The figure is the time from just before the process is created until the first byte of the answer.`,
  unit: 'starts',
  baseline: wsProgram.name,
  headline: FIRST_BYTE,
  workloads: [workload('until it answers', [ourProgram, netProgram, wsProgram, bunProgram], [])],
};
