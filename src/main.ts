/**
 * The command: options → server → signals and exit codes.
 */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type RunCommand, readCommandLine, USAGE, UsageError } from './command/command-line.ts';
import { exit } from './command/exit.ts';
import { hubKeyFile, readHubKey } from './command/hub-key.ts';
import { createLog, formatJson, formatText, type Log, type LogSink } from './command/log.ts';
import { logEvents } from './command/log-events.ts';
import { descriptorSink, fileSink } from './command/log-sinks.ts';
import { endOnSignals, FLUSH_MS } from './command/signals.ts';
import { isLoopbackHost } from './http/authority.ts';
import type { HypivisorOptions } from './options.ts';
import { Environment } from './protocol/environment.ts';
import { DEFAULT_PORT } from './protocol/registry.ts';
import { registryUrl } from './protocol/url.ts';
import { createHypivisor, type Hypivisor, type HypivisorAddress, version } from './server.ts';
import { keepFreedMemory } from './transport/allocator.ts';

const MAX_LOG_FILE_BYTES = 10 * 1024 * 1024;
const STDERR = 2;

/** The first process of a container or a machine. Orphans become its children, so it would have to collect them. */
const INIT_PID = 1;

async function main(): Promise<void> {
  // The reader may have ended, as in `hypivisor --version | true`. That is no error.
  process.stderr.on('error', () => {});
  const command = readCommandLine(process.argv.slice(2), process.env);
  if (command.kind === 'help') return print(USAGE);
  if (command.kind === 'version') return print(`${version}\n`);

  const home = homeOfUser();
  const forPeople = process.stderr.isTTY === true;
  const log = openLog(command, home, forPeople);
  keepFreedMemory();
  const hypivisor = create({ ...command.options, home, ...(await joinOptions(command, home, log)) });
  logEvents(hypivisor, log);
  const isEnding = endOnSignals(hypivisor, log);
  let address: HypivisorAddress;
  try {
    address = await hypivisor.listen();
  } catch (error) {
    if (isEnding()) return;
    log.error(describeListenError(error as NodeJS.ErrnoException, command.options));
    await log.flush(FLUSH_MS);
    exit(1);
    return;
  }
  warnOfOpenDoors(command.options, address, log);
  if (process.pid === INIT_PID) {
    log.warn('hypivisor is process 1 here and does not collect orphans: start the container with --init');
  }
  log.info('Hypivisor online', { version, port: address.port, hosts: address.hosts.join(' ') });
  await log.flush(FLUSH_MS);
  if (forPeople && command.logFormat !== 'json') print(welcome(address));
}

/** @throws UsageError if a proxy cannot be used that the environment names for a join */
function create(options: HypivisorOptions): Hypivisor {
  try {
    return createHypivisor(options);
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}

/**
 * What joins need from the disk.
 *
 * @throws UsageError if the certificates cannot be read
 */
async function joinOptions({ options, joinCaFile }: RunCommand, home: string, log: Log): Promise<HypivisorOptions> {
  const { join, port = DEFAULT_PORT } = options;
  if (join === undefined) return {};
  const found: HypivisorOptions = {};
  if (joinCaFile !== null) {
    const ca = await readFile(joinCaFile, 'utf8').catch(({ code }: NodeJS.ErrnoException) => {
      throw new UsageError(`--join-ca: ${joinCaFile} cannot be read (${code})`);
    });
    found.join = join.map((it) => ({ ...it, ca }));
  }
  // A free port is another each time, and so is the hub on it.
  if (port === 0) return found;
  try {
    found.hubKey = await readHubKey(hubKeyFile(home, port));
  } catch (error) {
    log.warn(`other hubs will not know this one again after a restart: ${(error as Error).message}`);
  }
  return found;
}

/** @throws UsageError if the user has no home folder, or if HOME is no absolute path */
function homeOfUser(): string {
  let home: string;
  try {
    // An empty HOME counts as none.
    home = os.homedir() || os.userInfo().homedir;
  } catch {
    throw new UsageError('this user has no home folder: set HOME to the folder that agents may work in');
  }
  if (!path.isAbsolute(home)) throw new UsageError(`HOME must be an absolute path, not ${JSON.stringify(home)}`);
  return home;
}

function openLog(command: RunCommand, home: string, forPeople: boolean): Log {
  const sinks: LogSink[] = [];
  const log = createLog(sinks);
  const warn = (sentence: string) => log.warn(sentence);
  const isText = command.logFormat === null ? forPeople : command.logFormat === 'text';
  sinks.push(descriptorSink('stderr', STDERR, isText ? formatText : formatJson, warn));
  const file = command.logFile ?? path.join(home, '.pi', 'logs', 'hyper-pi.jsonl');
  if (file !== 'none') sinks.push(fileSink(file, formatJson, MAX_LOG_FILE_BYTES, warn));
  return log;
}

function warnOfOpenDoors({ token }: HypivisorOptions, { hosts }: HypivisorAddress, log: Log): void {
  if (token) return;
  const here = hosts.every((host) => isLoopbackHost(host.includes(':') ? `[${host}]` : host));
  if (here) {
    log.warn('HYPI_TOKEN is not set: only this machine can connect. Set it to listen on every interface.');
  } else {
    log.warn('DANGER: HYPI_TOKEN is not set and --host opens this daemon to the network: anyone can start agents here');
  }
}

function describeListenError({ code, message }: NodeJS.ErrnoException, { port, host }: HypivisorOptions): string {
  const wanted = port ?? DEFAULT_PORT;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${wanted} is in use: stop what listens there, or choose another with --port`;
    case 'EACCES':
      return `Port ${wanted} is reserved for root: choose one from 1024 with --port`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine: choose another with --host`;
    default:
      return `Cannot listen on port ${wanted}: ${message}`;
  }
}

/** The next steps, for a person at a terminal. */
function welcome({ port, hosts }: HypivisorAddress): string {
  const names = hosts.some((host) => host === '::' || host === '0.0.0.0')
    ? ['localhost', os.hostname()]
    : hosts.map((host) => (host === '127.0.0.1' ? 'localhost' : host)).filter((host) => host !== '::1');
  const urls = names.map((name) => `http://${name.includes(':') ? `[${name}]` : name}:${port}/`);
  // A URL takes a machine's name of digits alone for an address, perhaps an invalid one.
  const pages = urls.filter((url) => URL.canParse(url));
  return `
  Open        ${pages.join('  ')}
  Agents      ${pages.map((page) => `${Environment.HYPIVISOR_WS}=${registryUrl(page, null)}`).join('  ')}
  Stop        Ctrl-C

`;
}

function print(text: string): void {
  process.stdout.on('error', () => {}).write(text);
}

main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`hypivisor: ${error.message}\n`);
  process.exitCode = 2;
});
