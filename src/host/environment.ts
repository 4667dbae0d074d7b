/**
 * The environment of agents, which is the environment that the person who started the daemon has in a terminal.
 */

import { delimiter } from 'node:path';

/** Variables for the daemon's own Node. Agents are Node programs too, so the variables would affect them. */
const FOR_NODE = [
  'NODE_ENV',
  'NODE_OPTIONS',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'NODE_UNIQUE_ID',
  'NODE_V8_COVERAGE',
];

/**
 * Variables that systemd sets for the unit's own process (systemd.exec(5), sd_notify(3), sd_listen_fds(3),
 * sd_watchdog_enabled(3)).
 */
const BY_SYSTEMD = [
  'INVOCATION_ID',
  'JOURNAL_STREAM',
  'LISTEN_FDNAMES',
  'LISTEN_FDS',
  'LISTEN_PID',
  'MAINPID',
  'MANAGERPID',
  'MEMORY_PRESSURE_WATCH',
  'MEMORY_PRESSURE_WRITE',
  'NOTIFY_SOCKET',
  'SYSTEMD_EXEC_PID',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
];

/** Variables that pi sets for the programs that it starts, such as a daemon. They describe that pi and its session. */
const BY_PI = [
  'AI_AGENT',
  'PI_CODING_AGENT',
  'PI_MODEL',
  'PI_PROVIDER',
  'PI_REASONING_LEVEL',
  'PI_SESSION_FILE',
  'PI_SESSION_ID',
];

/** Variables that npm sets for the scripts that it runs, beside `npm_…`. */
const BY_NPM = ['COLOR', 'INIT_CWD', 'NODE'];

/** The editor that npm sets if the person chose none (npm's setting `editor`). */
const EDITOR_OF_NPM = process.platform === 'win32' ? /notepad\.exe$/i : /^vi$/;

/** npm puts these before the person's own PATH: `.bin` of the package and of each folder above it, then node-gyp. */
const BIN = /[/\\]node_modules[/\\]\.bin$/;
const NODE_GYP = /[/\\]node-gyp-bin$/;

/**
 * The environment of the person who started the daemon, derived from the daemon's own: without the daemon's settings
 * (`HYPI_…`), without Node's, and without the variables that npm, systemd and pi add for programs they start.
 */
export function personalEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const personal = { ...environment };
  for (const name of [...FOR_NODE, ...BY_SYSTEMD, ...BY_PI]) delete personal[name];
  const byNpm = environment.npm_lifecycle_event !== undefined || environment.npm_execpath !== undefined;
  if (byNpm) undoNpm(personal);
  for (const name of Object.keys(personal)) {
    if (name.startsWith('HYPI_')) delete personal[name];
  }
  return personal;
}

function undoNpm(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) {
    if (name.startsWith('npm_') || BY_NPM.includes(name)) delete environment[name];
    // On Windows it is often called Path.
    else if (name.toUpperCase() === 'PATH') environment[name] = withoutNpm(environment[name] ?? '');
  }
  const { EDITOR, VISUAL } = environment;
  // npm also copies VISUAL to EDITOR. Programs read VISUAL first, so removing the copy changes nothing.
  if (EDITOR !== undefined && (EDITOR_OF_NPM.test(EDITOR) || EDITOR === VISUAL)) delete environment.EDITOR;
}

function withoutNpm(path: string): string {
  const entries = path.split(delimiter);
  const end = entries.findIndex((entry) => !BIN.test(entry));
  // If node-gyp does not follow, a folder called .bin is the person's own.
  if (!NODE_GYP.test(entries[end] ?? '')) return path;
  // One npm may run another.
  return withoutNpm(entries.slice(end + 1).join(delimiter));
}
