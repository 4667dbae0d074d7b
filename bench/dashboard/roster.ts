/** The roster: how soon it is there, and what it costs when all of it changes. */
import type { Browser } from 'playwright-core';
import { WebSocket } from 'ws';
import type { Daemon } from '../../test/support/daemon.ts';
import { median, metrics, open } from './page.ts';

const PROJECTS = 60;
const TRIES = 5;

/** Agents that register, say what they do, and take no connection. */
export class Crowd {
  readonly #uplinks: WebSocket[] = [];
  #calls = 0;

  static async gather(daemon: Daemon, count: number): Promise<Crowd> {
    const crowd = new Crowd();
    for (let start = 0; start < count; start += 100) {
      const more = Array.from({ length: Math.min(100, count - start) }, (_, i) => crowd.#join(daemon, start + i));
      await Promise.all(more);
    }
    return crowd;
  }

  #join(daemon: Daemon, index: number): Promise<void> {
    const uplink = new WebSocket(daemon.registryUrl);
    this.#uplinks.push(uplink);
    const params = {
      id: `agent-${index}`,
      machine: `machine-${index % 12}`,
      cwd: `/home/me/project-${index % PROJECTS}`,
      port: 1024 + (index % 60_000),
      status: 'active',
      name: `Session ${index}`,
      model: 'sonnet-5',
      state: index % 3 === 0 ? 'working' : 'idle',
      context: { used: (index * 37) % 200_000, max: 200_000 },
      cost: index / 1000,
    };
    return new Promise((resolve, reject) => {
      uplink.on('open', () => this.#call(uplink, 'register', params));
      uplink.on('message', (payload) => {
        const { id, error } = JSON.parse(String(payload)) as { id?: number; error?: string };
        if (id === undefined) return;
        if (error === undefined) resolve();
        else reject(new Error(error));
      });
      uplink.on('error', reject);
    });
  }

  #call(uplink: WebSocket, method: string, params: object): void {
    uplink.send(JSON.stringify({ id: ++this.#calls, method, params }));
  }

  /** So many changes a second, each of another agent, for so long. */
  async change(perSecond: number, seconds: number): Promise<void> {
    const STATES = ['working', 'idle', 'working', 'failed'];
    const begun = performance.now();
    for (let made = 0; made < perSecond * seconds; ) {
      const due = Math.min(((performance.now() - begun) / 1000) * perSecond, perSecond * seconds);
      for (; made < due; made++) {
        const uplink = this.#uplinks[(made * 7919) % this.#uplinks.length] as WebSocket;
        const state = STATES[made % STATES.length];
        this.#call(uplink, 'update', { state, tool: state === 'working' ? 'bash' : null, cost: made / 100 });
      }
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }

  leave(): void {
    for (const uplink of this.#uplinks) uplink.terminate();
  }
}

/** Marks when the first row has been painted. */
function watchForRows(): void {
  const page = window as { rowsAt?: number };
  const look = () => {
    if (document.querySelector('.row') === null) requestAnimationFrame(look);
    else {
      requestAnimationFrame(() => {
        page.rowsAt = performance.now();
      });
    }
  };
  requestAnimationFrame(look);
}

/** @returns milliseconds from the beginning of the navigation to the first row on the screen, with nothing cached; a median */
export async function timeToRoster(browser: Browser, daemon: Daemon): Promise<number> {
  const times: number[] = [];
  for (let tried = 0; tried < TRIES; tried++) {
    const { page } = await open(browser, `${daemon.origin}/`, watchForRows);
    const at = await page.waitForFunction(() => (window as { rowsAt?: number }).rowsAt);
    times.push((await at.jsonValue()) as number);
    await page.context().close();
  }
  return median(times);
}

function watchTasks(): void {
  const page = window as unknown as { tasks: number[]; frames: number };
  page.tasks = [];
  page.frames = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) page.tasks.push(duration);
  }).observe({ type: 'longtask' });
  const frame = () => {
    page.frames++;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

export interface Churn {
  /** Of tasks over 50 ms, in milliseconds. */
  longTasks: number[];
  framesPerSecond: number;
  busyMs: number;
  seconds: number;
}

export async function churn(browser: Browser, daemon: Daemon, crowd: Crowd, perSecond: number): Promise<Churn> {
  const seconds = 15;
  const { page, client } = await open(browser, `${daemon.origin}/`, watchTasks);
  await page.locator('.row').first().waitFor();
  await page.waitForTimeout(2000);
  const read = () => page.evaluate(() => ({ ...(window as unknown as { tasks: number[]; frames: number }) }).frames);
  await page.evaluate(() => {
    (window as unknown as { tasks: number[] }).tasks.length = 0;
  });
  const [before, framesBefore, begun] = [await metrics(client), await read(), performance.now()];
  await crowd.change(perSecond, seconds);
  const [after, framesAfter, ended] = [await metrics(client), await read(), performance.now()];
  const longTasks = await page.evaluate(() => (window as unknown as { tasks: number[] }).tasks);
  await page.context().close();
  const framesPerSecond = ((framesAfter - framesBefore) * 1000) / (ended - begun);
  return { longTasks, framesPerSecond, busyMs: after.busyMs - before.busyMs, seconds };
}
