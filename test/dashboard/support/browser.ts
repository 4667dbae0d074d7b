/**
 * A real Chromium, one for a test file, with a fresh context (storage, tabs) for each test. What the page writes to the
 * console as an error, throws, or does against its policy fails the test.
 */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { after, type TestContext } from 'node:test';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A name that is no loopback: what browsers keep from plain HTTP is kept from it.
  '--host-resolver-rules=MAP desk.test 127.0.0.1',
];

/** For a test's options: why it is skipped, or false. */
export const skip: string | false = await access(PROGRAM).then(
  () => false,
  () => `there is no Chromium at ${PROGRAM}: install Debian's, or name another in CHROMIUM`,
);

let launched: Promise<Browser> | null = null;
// Here, for within a test it would end with that test.
after(async () => (await launched)?.close());

export function browser(): Promise<Browser> {
  launched ??= chromium.launch({ executablePath: PROGRAM, args: FLAGS });
  return launched;
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** What went wrong in the page so far. Tests that provoke an error take it out. */
  problems: string[];
}

/** Opens the page in a context of its own, which ends with the test; by then nothing may have gone wrong. */
export async function visit(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await (await browser()).newContext({ reducedMotion: 'reduce', ...options });
  // What tests run in the page was compiled with a helper that the page does not have.
  await context.addInitScript('globalThis.__name = (value) => value');
  const problems: string[] = [];
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, [], 'nothing goes wrong in the page');
  });
  const page = await openPage(context, problems);
  await page.goto(url);
  return { page, context, problems };
}

/** Another tab. */
export async function openPage(context: BrowserContext, problems: string[]): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => problems.push(`error: ${error.stack ?? error.message}`));
  page.on('console', (message) => {
    // Chromium says so itself of each connection that fails; that the page copes is what tests look at.
    const isNetwork =
      /WebSocket connection to|net::ERR_|Failed to load resource|error occurred when fetching the script/.test(
        message.text(),
      );
    if (message.type() === 'error' && !isNetwork) problems.push(`console: ${message.text()}`);
  });
  return page;
}

/** Waits until `check` passes, which asks the page anew each time. */
export async function eventually(check: () => Promise<void>, patienceMs = 20_000): Promise<void> {
  const endsAt = Date.now() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > endsAt) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
