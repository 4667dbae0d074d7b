/**
 * The cost of the dashboard in a browser: `npm run bench:dashboard`. It informs, and never fails.
 * A part of it: `--only roster,answer`.
 *
 * Beside each figure is that of the dashboard that people have today, if it was measured.
 */
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { Crowd } from '../../test/dashboard/support/crowd.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { bytesOfDashboard } from './bytes.ts';
import { openHistory, streamAnswer } from './chat.ts';
import { memory } from './memory.ts';
import { churn, timeToRoster } from './roster.ts';

const MANY = 5000;
const CHANGES = 500;
/** An hour of a model that writes 125 tokens a second; fewer by `--answers`. */
const HOUR = 300;

const PARTS = ['bytes', 'roster', 'answer', 'history', 'memory'];

const { values } = parseArgs({ options: { answers: { type: 'string' }, only: { type: 'string' } } });
const answers = Number(values.answers ?? HOUR);
/** The parts to measure: all, or those that `--only` names, with commas between. */
const parts = new Set(values.only?.split(',') ?? PARTS);
for (const part of parts) if (!PARTS.includes(part)) throw new Error(`There is no ${part}: ${PARTS.join(', ')}.`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});

const ms = (value: number) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
const kilobytes = (value: number) => `${(value / 1000).toFixed(1)} KB`;
const megabytes = (value: number) => `${(value / 1e6).toFixed(1)} MB`;
const row = (...cells: string[]) => console.log(`| ${cells.join(' | ')} |`);

/** A daemon for one measurement. */
async function withDaemon<T>(measure: (daemon: Daemon) => Promise<T>): Promise<T> {
  const daemon = await Daemon.start();
  try {
    return await measure(daemon);
  } finally {
    await daemon.stop();
  }
}

try {
  row('Measured', 'Pi-DE', "today's dashboard");
  row('---', '---', '---');
  if (parts.has('bytes')) {
    const { eager, all } = await bytesOfDashboard();
    row('JS and CSS before the roster shows, in gzip', kilobytes(eager), '1,250 KB');
    row('JS and CSS in all, in gzip', kilobytes(all), '1,250 KB');
  }
  for (const count of parts.has('roster') ? [10, MANY] : []) {
    await withDaemon(async (daemon) => {
      const crowd = await Crowd.gather(daemon, count);
      const theirs = count === 10 ? '1.2–1.5 s' : '';
      row(`to a roster of ${count.toLocaleString('en')} agents`, ms(await timeToRoster(browser, daemon)), theirs);
      if (count === MANY) {
        const { longTasks, framesPerSecond, busyMs, seconds } = await churn(browser, daemon, crowd, CHANGES);
        const longest =
          longTasks.length === 0 ? 'none' : `${longTasks.length}, the longest ${ms(Math.max(...longTasks))}`;
        const rate = `${CHANGES} changes a second in it, for ${seconds} s`;
        row(`${rate}: tasks over 50 ms`, longest, '');
        row(`${rate}: frames a second`, framesPerSecond.toFixed(0), '');
        row(`${rate}: main thread busy`, ms(busyMs), '');
      }
      crowd.leave();
    });
  }
  for (const classic of parts.has('answer') ? [false, true] : []) {
    const cost = await withDaemon((daemon) => streamAnswer(browser, daemon, classic));
    const name = `an answer of 1,500 tokens${classic ? ', from an older extension' : ''}: main thread busy`;
    row(name, `${ms(cost.busyMs)} of ${ms(cost.wallMs)}`, '9.3 s of 12.3 s');
    row('… of which scripts, styles, layout', [cost.scriptMs, cost.styleMs, cost.layoutMs].map(ms).join(', '), '');
  }
  if (parts.has('history')) {
    const history = await withDaemon((daemon) => openHistory(browser, daemon));
    row(`opening a history of ${megabytes(history.bytes)}`, ms(history.wallMs), '16 s');
  }
  if (parts.has('memory')) {
    const readings = await withDaemon((daemon) => memory(browser, daemon, answers));
    const what = `heap after each tenth of ${answers} such answers`;
    row(`${what}${answers === HOUR ? ', an hour of streaming' : ''}`, readings.map(megabytes).join(', '), '');
  }
} finally {
  await browser.close();
}
