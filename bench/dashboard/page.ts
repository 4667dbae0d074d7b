/** A page that is measured. */
import type { Browser, CDPSession, Page } from 'playwright-core';

/** The work of the main thread, in milliseconds. */
export interface Work {
  /** All its tasks. */
  busyMs: number;
  /** Of these: scripts, styles, layout. The rest is painting, and the browser's own work for each frame and message. */
  scriptMs: number;
  styleMs: number;
  layoutMs: number;
}

export interface Metrics extends Work {
  heapBytes: number;
}

export async function metrics(client: CDPSession): Promise<Metrics> {
  const { metrics: all } = await client.send('Performance.getMetrics');
  const of = (name: string) => all.find((metric) => metric.name === name)?.value ?? 0;
  return {
    busyMs: of('TaskDuration') * 1000,
    scriptMs: of('ScriptDuration') * 1000,
    styleMs: of('RecalcStyleDuration') * 1000,
    layoutMs: of('LayoutDuration') * 1000,
    heapBytes: of('JSHeapUsedSize'),
  };
}

/** The work between two readings. */
export function between(before: Metrics, after: Metrics): Work {
  return {
    busyMs: after.busyMs - before.busyMs,
    scriptMs: after.scriptMs - before.scriptMs,
    styleMs: after.styleMs - before.styleMs,
    layoutMs: after.layoutMs - before.layoutMs,
  };
}

/** In a context of its own: nothing is cached. @param prepare runs in the page before anything of its own */
export async function open(
  browser: Browser,
  url: string,
  prepare?: () => void,
): Promise<{ page: Page; client: CDPSession }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  const page = await context.newPage();
  // esbuild puts this around functions that have a name.
  await page.addInitScript('globalThis.__name = (each) => each');
  if (prepare !== undefined) await page.addInitScript(prepare);
  const client = await context.newCDPSession(page);
  // The thread's own time: that of a loaded machine's other programs does not count.
  await client.send('Performance.setTimeDomain', { timeDomain: 'threadTicks' });
  await client.send('Performance.enable');
  await page.goto(url);
  return { page, client };
}

/** Bytes in use after the garbage is gone. */
export async function heapBytes(client: CDPSession): Promise<number> {
  await client.send('HeapProfiler.collectGarbage');
  return (await metrics(client)).heapBytes;
}

export const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
