/** `/hypivisor` in pi's terminal. */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { renderUnicodeCompact } from 'uqr';
import type { Daemon } from './daemon.ts';
import type { Finding } from './doctor.ts';
import type { PiCommand, PiContext } from './pi.ts';
import type { PiSession } from './session.ts';
import { dashboardUrl, type Settings } from './settings.ts';

const ACTIONS = {
  status: 'Shows where this agent is connected',
  open: 'Opens the dashboard in a browser',
  qr: 'Shows the dashboard as a QR code, for a phone',
  start: 'Starts the hypivisor on this machine',
  stop: 'Ends the hypivisor that was started from pi',
  doctor: 'Finds out why something does not work',
} as const;
type Action = keyof typeof ACTIONS;

export interface CommandContext {
  readonly settings: Settings;
  readonly daemon: Daemon;
  readonly version: string;
  /** The served session; null while none is served here. `whyNot` says why then. */
  readonly session: () => Pick<PiSession, 'nodeId' | 'port' | 'clients' | 'status' | 'retryNow' | 'examine'> | null;
  readonly whyNot: () => string;
}

type Tell = (text: string, type?: 'info' | 'warning' | 'error') => void;

export function createCommand(given: CommandContext): PiCommand {
  return {
    description: `hypivisor: ${Object.keys(ACTIONS).join(', ')}`,
    getArgumentCompletions(prefix) {
      const matching = Object.entries(ACTIONS).filter(([action]) => action.startsWith(prefix.trim().toLowerCase()));
      if (matching.length === 0) return null;
      return matching.map(([action, description]) => ({ value: action, label: action, description }));
    },
    async handler(args, context) {
      const action = args.trim().toLowerCase() || 'status';
      const tell: Tell = (text, type = 'info') => tellSafely(context, text, type);
      if (Object.hasOwn(ACTIONS, action)) await perform(action as Action, given, tell);
      else tell(`/hypivisor knows: ${Object.keys(ACTIONS).join(', ')}`, 'warning');
    },
  };
}

/**
 * Shows a text, if the session still lives. A command may outlive its session, and using that terminal would end pi.
 */
function tellSafely(context: PiContext, text: string, type: 'info' | 'warning' | 'error'): void {
  try {
    context.ui.notify(text, type);
  } catch {
    // The session has ended, so no one reads the text.
  }
}

async function perform(action: Action, given: CommandContext, tell: Tell): Promise<void> {
  switch (action) {
    case 'status':
      return tell(describe(given));
    case 'open':
      return openDashboard(given.settings, tell);
    case 'qr':
      return showCode(given.settings, tell);
    case 'start':
      return start(given, tell);
    case 'stop':
      return given.settings.isLocal ? tell(await given.daemon.stop()) : tell(elsewhere(given.settings), 'warning');
    case 'doctor':
      return examine(given, tell);
  }
}

function describe({ settings, session, whyNot, version }: CommandContext): string {
  const served = session();
  if (served === null) return `hypivisor ${version}: ${whyNot()}`;
  const { state, agents, reason } = served.status;
  const lines = [`hypivisor ${version}: ${state}${state === 'offline' && reason ? `, ${reason}` : ''}`];
  lines.push(`  registry   ${settings.url}`, `  dashboard  ${dashboardUrl(settings.url) ?? '–'}`);
  lines.push(`  agent      ${served.nodeId}, port ${served.port ?? '–'}, ${served.clients} connected`);
  if (agents !== null) lines.push(`  agents     ${agents}`);
  return lines.join('\n');
}

async function openDashboard({ url }: Settings, tell: Tell): Promise<void> {
  const page = dashboardUrl(url);
  if (page === null) return tell('HYPIVISOR_WS is no URL of a registry', 'error');
  const [program, ...args] =
    process.platform === 'darwin'
      ? ['open', page]
      : process.platform === 'win32'
        ? ['explorer', page]
        : ['xdg-open', page];
  const child = spawn(program as string, args, { detached: true, stdio: 'ignore' });
  child.on('error', () => {});
  child.unref();
  tell(`The dashboard: ${page}`);
}

async function showCode(settings: Settings, tell: Tell): Promise<void> {
  const page = dashboardUrl(settings.url);
  if (page === null) return tell('HYPIVISOR_WS is no URL of a registry', 'error');
  if (settings.isLocal && settings.token === null) {
    return tell(
      'Without a token hypivisor serves this machine alone: start it and pi with HYPI_TOKEN for a phone to reach it',
      'warning',
    );
  }
  const address = settings.isLocal ? ownAddress() : null;
  const url = address === null ? page : page.replace(/\/\/[^/:]+|\/\/\[[^\]]+\]/, `//${address}`);
  // Cameras expect black on white, whatever the theme is.
  const code = renderUnicodeCompact(url, { border: 2 })
    .split('\n')
    .map((line) => `\u001b[30;107m${line}\u001b[0m`)
    .join('\n');
  tell(`${code}\n${url}${settings.token === null ? '' : '  (it asks for the token)'}`);
}

async function start({ settings, daemon, session }: CommandContext, tell: Tell): Promise<void> {
  if (!settings.isLocal) return tell(elsewhere(settings), 'warning');
  const problem = await daemon.start();
  session()?.retryNow();
  tell(problem ?? `hypivisor is there: ${dashboardUrl(settings.url)}`, problem === null ? 'info' : 'error');
}

function elsewhere({ url }: Settings): string {
  return `HYPIVISOR_WS names another machine: ${url}`;
}

async function examine({ session, whyNot }: CommandContext, tell: Tell): Promise<void> {
  const served = session();
  if (served === null) return tell(whyNot(), 'warning');
  const findings = await served.examine();
  const isGood = findings.every((finding) => finding.isGood);
  tell([...findings.map(line), isGood ? 'All is well.' : ''].join('\n').trim(), isGood ? 'info' : 'error');
}

function line({ step, text, isGood, advice }: Finding): string {
  return `${isGood ? '✓' : '✗'} ${step}: ${text}${advice === null ? '' : `\n  ${advice}`}`;
}

/** An address of this machine that a phone in the same network can reach; null if there is none. */
function ownAddress(): string | null {
  try {
    const addresses = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
    return addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? null;
  } catch {
    return null;
  }
}
