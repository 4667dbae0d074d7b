/** The roster: how soon it is there, and what it costs when all of it changes. */
import type { Browser } from 'playwright-core';
import type { Crowd } from '../../test/dashboard/support/crowd.ts';
import type { Daemon } from '../../test/support/daemon.ts';
import { median, metrics, open } from './page.ts';

const TRIES = 5;

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
