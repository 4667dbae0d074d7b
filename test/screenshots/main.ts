/**
 * Pictures of the page, for people to look at: each main state at 360, 1280 and 2560 pixels, light and dark.
 *
 *   npm run screenshots                 into screenshots/
 *   npm run screenshots -- --documents  those that the documents show, into docs/screenshots/
 */
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { CAST } from '../../demo/cast.ts';
import { DaemonProcess } from '../../demo/daemon-process.ts';
import { SampleAgent } from '../../demo/sample-agent.ts';
import { Daemon } from '../support/daemon.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SIZES = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
  { width: 2560, height: 1440 },
];
const SCHEMES = ['light', 'dark'] as const;
/** What the documents show: state, width, scheme. */
const IN_DOCUMENTS = new Set([
  'tools 1280 dark',
  'tools 1280 light',
  'question 1280 light',
  'machines 1280 light',
  'roster 360 dark',
  'question 360 dark',
]);

const { values } = parseArgs({ options: { documents: { type: 'boolean' } } });
const folder = join(ROOT, values.documents ? 'docs/screenshots' : 'screenshots');

type Shoot = (state: string) => Promise<void>;

/** Walks through the page, and shoots each state. */
async function walk(page: Page, url: string, shoot: Shoot): Promise<void> {
  const isPhone = (page.viewportSize()?.width ?? 0) < 768;
  const open = async (id: string) => {
    await page.evaluate((agent) => {
      location.hash = `#/agent/${agent}`;
    }, id);
    await page.locator('.transcript').first().waitFor();
    await page.waitForTimeout(700);
  };
  const toRoster = () => page.evaluate('location.hash = ""');
  const press = async (key: string) => {
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press(key);
    await page.waitForTimeout(400);
  };
  await page.goto(url);
  await page.locator('.row').first().waitFor();
  await page.waitForTimeout(500);
  await shoot('roster');
  for (const [id, state] of [
    ['ada', 'tools'],
    ['grace', 'question'],
    ['hedy', 'choice'],
    ['alan', 'working'],
    ['mary', 'failed'],
  ] as const) {
    await open(id);
    await shoot(state);
  }
  await open('hedy');
  if (await page.locator('.inspector').isHidden())
    await page.getByRole('button', { name: 'Inspector', exact: true }).click();
  await page.waitForTimeout(400);
  await shoot('inspector');
  await page.getByRole('button', { name: 'Close the inspector' }).click();
  if (isPhone) await toRoster();
  for (const [key, state] of [
    ['a', 'spawn'],
    ['m', 'machines'],
    ['Control+k', 'palette'],
    ['?', 'keys'],
  ] as const) {
    await press(key);
    await shoot(state);
    await page.keyboard.press('Escape');
  }
  await toRoster();
  await groupBy(page, 'machine');
  await shoot('groups');
  await groupBy(page, 'project');
  for (const [name, state] of [
    ['Settings', 'settings'],
    ['Open on a phone', 'share'],
  ] as const) {
    await page.getByRole('button', { name }).click();
    await page.waitForTimeout(400);
    await shoot(state);
    await page.keyboard.press('Escape');
  }
}

/** Its size and colours. */
async function nameOf(page: Page): Promise<string> {
  const isDark = await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches);
  return `${page.viewportSize()?.width}-${isDark ? 'dark' : 'light'}`;
}

async function groupBy(page: Page, what: 'machine' | 'project'): Promise<void> {
  await page.getByLabel('Group by').selectOption(what);
  await page.waitForTimeout(400);
}

async function shootAll(browser: Browser): Promise<void> {
  // Where agents say that they are: on the machine of their hub, whatever that is called.
  Object.defineProperty(os, 'hostname', { value: () => 'localhost' });
  const demo = await DaemonProcess.start(0, 60, ['--hub-name', 'desk']);
  const laptop = await DaemonProcess.start(0, 60, ['--hub-name', 'laptop', '--join', demo.registryUrl]);
  const empty = await Daemon.start();
  const guarded = await Daemon.start({ env: { HYPI_TOKEN: 'secret' } });
  const agents: SampleAgent[] = [];
  let pages: Page[] = [];
  try {
    for (const character of CAST) {
      const { home, registryUrl } = character.isElsewhere ? laptop : demo;
      const agent = await SampleAgent.start(character, home, registryUrl);
      agents.push(agent);
      const [topic] = character.topics;
      const first = character.opening ?? (character.id === 'ada' ? topic : undefined);
      if (first !== undefined) agent.begin(first.prompt, first.steps);
    }
    // Until those who are to finish have.
    await new Promise((resolve) => setTimeout(resolve, 9000));
    for (const { width, height } of SIZES) {
      for (const colorScheme of SCHEMES) {
        const isPhone = width < 768;
        const touch = isPhone ? { isMobile: true, hasTouch: true, deviceScaleFactor: 2 } : {};
        const context = await browser.newContext({
          viewport: { width, height },
          colorScheme,
          reducedMotion: 'reduce',
          ...touch,
        });
        const page = await context.newPage();
        const shootOf = (target: Page) => async (state: string) => {
          if (values.documents && !IN_DOCUMENTS.has(`${state} ${width} ${colorScheme}`)) return;
          await target.screenshot({ path: join(folder, `${state}-${width}-${colorScheme}.png`) });
        };
        await walk(page, `http://127.0.0.1:${demo.port}/`, shootOf(page));
        if (values.documents) {
          await context.close();
          continue;
        }
        pages.push(page);
        for (const [daemon, state] of [
          [empty, 'empty'],
          [guarded, 'token'],
        ] as const) {
          const other = await context.newPage();
          await other.goto(`${daemon.origin}/`);
          await other.waitForTimeout(1000);
          await shootOf(other)(state);
          await other.close();
        }
      }
    }
    await laptop.stop();
    for (const page of pages) {
      await groupBy(page, 'machine');
      await page.screenshot({ path: join(folder, `lost-${await nameOf(page)}.png`) });
      await page.keyboard.press('m');
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(folder, `machines-lost-${await nameOf(page)}.png`) });
      await page.keyboard.press('Escape');
      await groupBy(page, 'project');
    }
    // Last, for it is the end of all.
    await demo.stop();
    await new Promise((resolve) => setTimeout(resolve, 6000));
    for (const page of pages) {
      await page.screenshot({ path: join(folder, `gone-${await nameOf(page)}.png`) });
    }
    pages = [];
  } finally {
    for (const agent of agents) await agent.stop();
    await laptop.stop();
    await demo.stop();
    await empty.stop();
    await guarded.stop();
  }
}

await mkdir(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
try {
  await shootAll(browser);
} finally {
  await browser.close();
}
process.exit();
