#!/usr/bin/env node
/**
 * The command: options → server → signals and exit codes.
 */
import os from 'node:os';
import path from 'node:path';
import { type RunCommand, readCommandLine, USAGE, UsageError } from './command-line.ts';
import { isLoopbackHost } from './http/authority.ts';
import { createLog, descriptorSink, fileSink, formatJson, formatText, type Log } from './log.ts';
import type { HypivisorOptions } from './options.ts';
import { DEFAULT_PORT } from './protocol/registry.ts';
import { createHypivisor, type Hypivisor, type HypivisorAddress, version } from './server.ts';
import { keepFreedMemory } from './transport/allocator.ts';

const MAX_LOG_FILE_BYTES = 10 * 1024 * 1024;
const STDERR = 2;
const FLUSH_MS = 250;

/** A terminal's Ctrl-C reaches both npm and the daemon, and npm passes its own on: one wish, told twice. */
const SAME_SIGNAL_MS = 50;

async function main(): Promise<void> {
  const command = readCommandLine(process.argv.slice(2), process.env);
  if (command.kind === 'help') return print(USAGE);
  if (command.kind === 'version') return print(`${version}\n`);

  const forPeople = process.stderr.isTTY === true;
  const log = openLog(command, forPeople);
  keepFreedMemory();
  const hypivisor = createHypivisor(command.options);
  logEvents(hypivisor, log);
  let address: HypivisorAddress;
  try {
    address = await hypivisor.listen();
  } catch (error) {
    log.error(describeListenError(error as NodeJS.ErrnoException, command.options), 'listen');
    await log.flush(FLUSH_MS);
    process.exitCode = 1;
    return;
  }
  endOnSignal(hypivisor, log);
  warnOfOpenDoors(command.options, address, log);
  log.info('Hypivisor online', { version, port: address.port, hosts: address.hosts.join(' ') });
  await log.flush(FLUSH_MS);
  if (forPeople && command.logFormat !== 'json') print(welcome(address));
}

function openLog(command: RunCommand, forPeople: boolean): Log {
  const isText = command.logFormat === null ? forPeople : command.logFormat === 'text';
  const sinks = [descriptorSink(STDERR, isText ? formatText : formatJson)];
  const file = command.logFile ?? path.join(os.homedir(), '.pi', 'logs', 'hyper-pi.jsonl');
  if (file !== 'none') sinks.push(fileSink(file, formatJson, MAX_LOG_FILE_BYTES));
  return createLog(sinks);
}

function logEvents(hypivisor: Hypivisor, log: Log): void {
  hypivisor.on('roster', (event) => {
    switch (event.event) {
      case 'node_joined':
        log.info('node joined', { id: event.node.id, machine: event.node.machine, port: event.node.port });
        break;
      case 'node_offline':
        log.info('node offline', { id: event.id });
        break;
      case 'node_removed':
        log.info('node removed', { id: event.id });
    }
  });
  hypivisor.on('relayOpened', ({ nodeId, remoteAddress }) => log.info('relay opened', { id: nodeId, remoteAddress }));
  hypivisor.on('relayRefused', ({ nodeId, reason }) => log.warn('relay refused', { id: nodeId, reason }));
  hypivisor.on('relayClosed', ({ nodeId }) => log.info('relay closed', { id: nodeId }));
  hypivisor.on('refused', ({ status, reason, remoteAddress }) => {
    log.warn('request refused', { status, reason, remoteAddress });
  });
  // Once: a browser or a load balancer that is set up wrong tries again and again.
  hypivisor.once('tlsRefused', ({ remoteAddress }) => {
    log.warn(
      'somebody speaks TLS to this port, which is plain: use http:// and ws://, or put a proxy with TLS in front',
      {
        remoteAddress,
      },
    );
  });
  hypivisor.on('laggardClosed', () => log.warn('a reader that did not read was closed'));
  hypivisor.on('warning', (sentence) => log.warn(sentence));
  hypivisor.on('fault', (error) => {
    const { message, stack } = error instanceof Error ? error : { message: String(error) };
    // The first frame tells where; the rest would only repeat how Node gets there.
    log.error(message, 'hypivisor', { at: stack?.split('\n')[1]?.trim() ?? 'unknown' });
  });
}

/** Drains on the first signal, exits at once on the second. */
function endOnSignal(hypivisor: Hypivisor, log: Log): void {
  let endingSince: number | null = null;
  const end = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (endingSince !== null) {
      if (now - endingSince > SAME_SIGNAL_MS) process.exit(0);
      return;
    }
    endingSince = now;
    log.info('Hypivisor is shutting down', { signal });
    void hypivisor
      .close()
      .then(() => log.flush(FLUSH_MS))
      .then(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
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

/** What a person needs to know next. */
function welcome({ port, hosts }: HypivisorAddress): string {
  const names = hosts.some((host) => host === '::' || host === '0.0.0.0')
    ? ['localhost', os.hostname()]
    : hosts.map((host) => (host === '127.0.0.1' ? 'localhost' : host)).filter((host) => host !== '::1');
  const authorities = names.map((name) => `${name.includes(':') ? `[${name}]` : name}:${port}`);
  return `
  Open        ${authorities.map((authority) => `http://${authority}/`).join('  ')}
  Agents      ${authorities.map((authority) => `HYPIVISOR_WS=ws://${authority}/ws`).join('  ')}
  Stop        Ctrl-C

`;
}

function print(text: string): void {
  process.stdout.write(text);
}

main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`hypivisor: ${error.message}\n`);
  process.exitCode = 2;
});
