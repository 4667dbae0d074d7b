/** What a process holds, and how to wait and to work in parallel. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

interface Footprint {
  descriptors: number;
  threads: number;
  residentBytes: number;
  /** Of those the anonymous ones (RssAnon): neither mapped from files nor shared. */
  anonymousBytes: number;
}

/** As /proc tells it; where there is none, nothing is told and so nothing is found amiss. */
export async function footprint(pid: number): Promise<Footprint> {
  if (process.platform !== 'linux') return { descriptors: 0, threads: 0, residentBytes: 0, anonymousBytes: 0 };
  const [descriptors, status] = await Promise.all([
    readdir(`/proc/${pid}/fd`),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    descriptors: descriptors.length,
    threads: number('Threads'),
    residentBytes: number('VmRSS') * 1024,
    anonymousBytes: number('RssAnon') * 1024,
  };
}

/**
 * Repeats a check until it passes; the last failure is thrown. An `assert.ok` in it needs a message: without one Node parses
 * the file to make one up, which can keep a processor busy for minutes.
 */
export async function eventually<T>(check: () => T | Promise<T>, patienceMs = 8000): Promise<T> {
  const endsAt = performance.now() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > endsAt) throw error;
      await delay(20);
    }
  }
}

/** Runs a task `count` times, `lanes` of them at once. */
export async function inLanes(count: number, lanes: number, task: (round: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
