/** What the dashboard costs a browser: `npm run bench:dashboard`. It informs, and never fails. */
import { chromium } from 'playwright-core';
import { Daemon } from '../../test/support/daemon.ts';
import { openHistory, streamAnswer } from './chat.ts';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
const daemon = await Daemon.start();
const ms = (value: number) => `${Math.round(value).toLocaleString('en')} ms`;
try {
  for (const classic of [false, true]) {
    const { busyMs, wallMs } = await streamAnswer(browser, daemon, classic);
    console.log(
      `an answer of 1,500 tokens${classic ? ', from an older extension' : ''}: main thread busy ${ms(busyMs)} of ${ms(wallMs)}`,
    );
  }
  const { busyMs, wallMs, bytes } = await openHistory(browser, daemon);
  console.log(
    `a history of ${(bytes / 1e6).toFixed(1)} MB: on the screen after ${ms(wallMs)}, main thread busy ${ms(busyMs)}`,
  );
} finally {
  await browser.close();
  await daemon.stop();
}
