/**
 * The demo: the real daemon, another that has joined it, and a few sample agents, for people who have no agent at hand.
 * See USAGE.
 */
import { parseArgs } from 'node:util';
import { DEFAULT_PORT } from '../src/protocol/registry.ts';
import { registryUrl, relayUrl } from '../src/protocol/url.ts';
import { DaemonProcess } from './daemon-process.ts';
import { RosterView } from './roster-view.ts';
import { paint, Screen } from './screen.ts';
import { Show } from './show.ts';
import { talk } from './talk.ts';

const USAGE = `Usage:
  npm run demo                               a daemon with sample agents, until Ctrl-C
  npm run demo -- --seconds <n>              the same, for that long
  npm run demo -- roster                     the roster of a running daemon, and each change of it
  npm run demo -- talk <agent> [<prompt>…]   asks an agent each prompt, or each line that you type

  --port <n>   the daemon's port (default ${DEFAULT_PORT}; if it is in use, the demo's daemon takes a free one)

Without --port, roster and talk find the daemon at HYPIVISOR_WS if that is set. They present HYPI_TOKEN.
`;

/** Short, so that a newcomer sees an agent expire. */
const NODE_TTL_SECONDS = 4;

interface Flags {
  port?: string | undefined;
  seconds?: string | undefined;
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  const [command, agent, ...prompts] = positionals;
  if (values.help) process.stdout.write(USAGE);
  else if (command === undefined) await show(values);
  else if (command === 'roster' && agent === undefined) await watch(values);
  else if (command === 'talk' && agent !== undefined) await talkTo(agent, values, prompts);
  else throw new UsageError(command === 'talk' ? 'Talk to whom?' : 'The demo has nothing of that name.');
}

async function show({ port, seconds }: Flags): Promise<void> {
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end.abort());
  // The reader of this output may leave first, as `head` does.
  process.stdout.on('error', () => end.abort());
  if (seconds !== undefined) setTimeout(() => end.abort(), 1000 * readNumber('--seconds', seconds)).unref();

  const daemon = await DaemonProcess.start(readNumber('--port', port ?? String(DEFAULT_PORT)), NODE_TTL_SECONDS);
  let elsewhere: DaemonProcess | null = null;
  let lost = false;
  try {
    elsewhere = await DaemonProcess.start(0, NODE_TTL_SECONDS, ['--join', daemon.registryUrl]);
    void daemon.ended().then(() => {
      lost = !end.signal.aborted;
      end.abort();
    });
    process.stdout.write(whatToTry(daemon.port));
    const screen = new Screen();
    const view = await RosterView.open(daemon.registryUrl, screen);
    // It closes before the agents go, so that their end is not shown as news.
    end.signal.addEventListener('abort', () => view.close());
    await new Show(daemon, elsewhere, screen).play(end.signal);
  } finally {
    end.abort();
    await elsewhere?.stop();
    await daemon.stop();
  }
  if (lost) throw new Error('the daemon has ended');
}

async function watch(flags: Flags): Promise<void> {
  process.stdout.on('error', () => process.exit());
  const view = await RosterView.open(registryUrl(daemonUrl(flags), token()), new Screen());
  await view.closed();
  process.stdout.write('The daemon has ended the connection.\n');
}

async function talkTo(agent: string, flags: Flags, prompts: string[]): Promise<void> {
  process.stdout.on('error', () => process.exit());
  await talk(relayUrl(daemonUrl(flags), agent, token()), prompts);
}

function whatToTry(port: number): string {
  const flag = port === DEFAULT_PORT ? '' : ` --port ${port}`;
  const raw = `const s = new (require('ws'))('ws://localhost:${port}/ws'); s.on('message', (m) => console.log(String(m)))`;
  return `
The daemon listens on port ${port}. Open ${paint('bold', `http://localhost:${port}/`)} in a browser to see the agents and talk to them.
In another terminal, in this folder, try:

  ${paint('bold', `npm run demo -- talk ada${flag}`)}     talk to an agent, through the daemon
  ${paint('bold', `npm run demo -- roster${flag}`)}       see the roster as a dashboard does
  ${paint('bold', `node -e "${raw}"`)}
                               see the same as it is on the wire

Ctrl-C ends everything and leaves nothing behind.

`;
}

function daemonUrl({ port }: Flags): string {
  if (port === undefined && process.env.HYPIVISOR_WS) return process.env.HYPIVISOR_WS;
  return `http://localhost:${readNumber('--port', port ?? String(DEFAULT_PORT))}`;
}

function token(): string | null {
  return process.env.HYPI_TOKEN ?? null;
}

class UsageError extends Error {}

function readArguments() {
  const options = {
    port: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readNumber(flag: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${flag} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n${error instanceof UsageError ? `\n${USAGE}` : ''}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
