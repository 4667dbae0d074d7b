/**
 * Flags and environment → options. Flags win over the environment, the environment over defaults.
 */
import { isIPv6 } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { canonicalHost } from '../http/authority.ts';
import { parseOrigin } from '../http/origin.ts';
import {
  DEFAULT_MAX_AGENTS,
  DEFAULT_MIN_FREE_MEMORY,
  DEFAULT_NODE_TTL_MS,
  DEFAULT_SPAWN_COMMAND,
  type HypivisorOptions,
} from '../options.ts';
import { HUB_LIMITS, HubFeature } from '../protocol/hub.ts';
import { DEFAULT_PORT } from '../protocol/registry.ts';

export type LogFormat = 'text' | 'json';

export interface RunCommand {
  kind: 'run';
  options: HypivisorOptions;
  /** Null means text on a terminal, and JSON otherwise. */
  logFormat: LogFormat | null;
  /** An absolute path. 'none' means no file, null the default file. */
  logFile: string | null;
  /** The absolute path of the certificates to trust in joins; null for those that Node trusts. */
  joinCaFile: string | null;
}

export type Command = RunCommand | { kind: 'help' } | { kind: 'version' };

/** An error in the command line or the environment. The message is one sentence for the person who typed it. */
export class UsageError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'UsageError';
  }
}

const MIB = 1024 * 1024;

export const USAGE = `Usage: hypivisor [options]

See and drive every coding agent you run, on every machine, from one place.

Options, and the environment variables that set them too
  -p, --port <n>             port to listen on; 0 takes a free one
                             (HYPI_PORT, default ${DEFAULT_PORT})
  -t, --node-ttl <seconds>   how long an agent that went offline stays in the roster
                             (HYPI_NODE_TTL, default ${DEFAULT_NODE_TTL_MS / 1000})
      --host <address>       address to listen on
                             (HYPI_HOST, default: this machine only, or every interface
                             if HYPI_TOKEN is set)
      --allow-origin <url>   a page's origin that may connect without a token; repeatable
                             (HYPI_ALLOW_ORIGIN, separated by commas)
      --allow-host <name>    a name under which browsers may reach this daemon without a
                             token; repeatable (HYPI_ALLOW_HOST, separated by commas)
      --spawn-command <cmd>  command that starts an agent: words, or a JSON array of them
                             (HYPI_SPAWN_COMMAND, default: ${DEFAULT_SPAWN_COMMAND.join(' ')})
      --max-agents <n>       largest number of living agents that were started here;
                             0 starts none (HYPI_MAX_AGENTS, default ${DEFAULT_MAX_AGENTS})
      --min-free-memory <n>  MiB of memory that must be free to start one more agent
                             (HYPI_MIN_FREE_MEMORY, default ${DEFAULT_MIN_FREE_MEMORY / MIB})
      --join <url>           another hypivisor, which then has this machine's agents too.
                             It and whoever can use it get power over this machine: to
                             see and drive its agents, list folders, and start agents;
                             repeatable (HYPI_JOIN, separated by commas or blanks)
      --join-only <powers>   only some of that power: roster, relay, spawn
                             (HYPI_JOIN_ONLY, default: roster,relay,spawn)
      --join-ca <path>       certificates, in PEM, to trust in joins
                             (HYPI_JOIN_CA, default: those of Node.js)
      --hub-name <name>      name of this machine among others
                             (HYPI_HUB_NAME, default: its host name)
      --log-format <format>  text or json, on stderr
                             (HYPI_LOG_FORMAT, default: text on a terminal)
      --log-file <path>      file to append JSON lines to, or none
                             (HYPI_LOG_FILE, default: ~/.pi/logs/hyper-pi.jsonl)
  -h, --help                 print this and exit
      --version              print the version and exit

Environment only
  HYPI_TOKEN                 the key that agents and dashboards must present; without it
                             the daemon listens on this machine only
  HYPI_JOIN_TOKEN            the key of the hypivisors that are joined; without it
                             HYPI_TOKEN

Agents and dashboards connect to ws://<host>:<port>/ws. Ctrl-C ends the daemon.
`;

const FLAGS = {
  port: { type: 'string', short: 'p' },
  'node-ttl': { type: 'string', short: 't' },
  host: { type: 'string' },
  'allow-origin': { type: 'string', multiple: true },
  'allow-host': { type: 'string', multiple: true },
  'spawn-command': { type: 'string' },
  'max-agents': { type: 'string' },
  'min-free-memory': { type: 'string' },
  join: { type: 'string', multiple: true },
  'join-only': { type: 'string' },
  'join-ca': { type: 'string' },
  'hub-name': { type: 'string' },
  'log-format': { type: 'string' },
  'log-file': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

/** The longest TTL, in seconds: a year. A longer one is a typing error. */
const MAX_TTL_SECONDS = 365 * 24 * 3600;

/** Far above the number of agents that one machine can run. */
const MAX_AGENTS = 100_000;
/** 16 TiB. A larger number was meant in another unit. */
const MAX_MIN_FREE_MEMORY_MIB = 16 * 1024 * 1024;

/** A DNS name, which may have an underscore, but no wildcard. */
const HOST_NAME = /^[\w.-]+$/;

/** @throws UsageError for an unknown flag, or for a bad value of a flag or a variable */
export function readCommandLine(args: readonly string[], environment: NodeJS.ProcessEnv): Command {
  const flags = parse(args);
  if (flags.help) return { kind: 'help' };
  if (flags.version) return { kind: 'version' };

  const value = (flag: keyof typeof FLAGS, variable: string): [value: string, name: string] | null => {
    const given = flags[flag];
    if (typeof given === 'string') return [given, `--${flag}`];
    const twin = environment[variable];
    return twin ? [twin, variable] : null;
  };
  const list = (
    flag: 'allow-origin' | 'allow-host' | 'join',
    variable: string,
    separator: string | RegExp = ',',
  ): [values: string[], name: string] => {
    const given = flags[flag];
    if (given !== undefined) return [given, `--${flag}`];
    return [(environment[variable] ?? '').split(separator).flatMap((item) => item.trim() || []), variable];
  };

  const options: HypivisorOptions = {};
  const port = value('port', 'HYPI_PORT');
  if (port !== null) options.port = readInteger(...port, 0, 65535);
  const ttl = value('node-ttl', 'HYPI_NODE_TTL');
  if (ttl !== null) options.nodeTtlMs = 1000 * readNumber(...ttl, 0, MAX_TTL_SECONDS);
  const host = value('host', 'HYPI_HOST');
  if (host !== null) options.host = readHost(...host);
  options.allowOrigins = readAll(list('allow-origin', 'HYPI_ALLOW_ORIGIN'), readOrigin);
  options.allowHosts = readAll(list('allow-host', 'HYPI_ALLOW_HOST'), readHost);
  const spawnCommand = value('spawn-command', 'HYPI_SPAWN_COMMAND');
  if (spawnCommand !== null) options.spawnCommand = readCommand(...spawnCommand);
  const maxAgents = value('max-agents', 'HYPI_MAX_AGENTS');
  if (maxAgents !== null) options.maxAgents = readInteger(...maxAgents, 0, MAX_AGENTS);
  const memory = value('min-free-memory', 'HYPI_MIN_FREE_MEMORY');
  if (memory !== null) options.minFreeMemory = MIB * readInteger(...memory, 0, MAX_MIN_FREE_MEMORY_MIB);
  if (environment.HYPI_TOKEN) options.token = readToken(environment.HYPI_TOKEN, 'HYPI_TOKEN');

  const joinToken = environment.HYPI_JOIN_TOKEN || environment.HYPI_TOKEN;
  if (environment.HYPI_JOIN_TOKEN) readToken(environment.HYPI_JOIN_TOKEN, 'HYPI_JOIN_TOKEN');
  const joinOnly = value('join-only', 'HYPI_JOIN_ONLY');
  const features = joinOnly === null ? null : readFeatures(...joinOnly);
  const urls = readAll(list('join', 'HYPI_JOIN', /[\s,]+/), readJoinUrl);
  if (urls.length > 0) {
    options.join = [...new Set(urls)].map((url) => ({
      url,
      ...(joinToken ? { token: joinToken } : {}),
      ...(features === null ? {} : { features }),
    }));
  }
  const joinCa = value('join-ca', 'HYPI_JOIN_CA');
  const hubName = value('hub-name', 'HYPI_HUB_NAME');
  if (hubName !== null) options.hubName = readHubName(...hubName);

  const logFormat = value('log-format', 'HYPI_LOG_FORMAT');
  const logFile = value('log-file', 'HYPI_LOG_FILE');
  return {
    kind: 'run',
    options,
    logFormat: logFormat === null ? null : readLogFormat(...logFormat),
    logFile: logFile === null ? null : readLogFile(...logFile),
    joinCaFile: joinCa === null ? null : path.resolve(joinCa[0]),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    // The first sentence of Node's message names the flag; the rest is advice.
    const [sentence = ''] = (error as Error).message.split(/\.\s/);
    throw new UsageError(`${sentence.replace(/\s+/g, ' ')}; see --help`);
  }
}

function readAll<T>([values, name]: [string[], string], read: (value: string, name: string) => T): T[] {
  return values.map((value) => read(value, name));
}

function readInteger(text: string, name: string, min: number, max: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max) {
    throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
  }
  return number;
}

function readNumber(text: string, name: string, min: number, max: number): number {
  const number = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || number < min || number > max) {
    throw new UsageError(`${name} must be a number of seconds from ${min} to ${max}, not ${JSON.stringify(text)}`);
  }
  return number;
}

function readHost(text: string, name: string): string {
  const unbracketed = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (isIPv6(unbracketed)) return unbracketed;
  // A name that no browser can visit, such as 1.2.3.4.5, is refused too.
  if (HOST_NAME.test(text) && canonicalHost(text) !== null) return text;
  throw new UsageError(`${name} must be a host name or an IP address without a port, not ${JSON.stringify(text)}`);
}

function readOrigin(text: string, name: string): string {
  const origin = parseOrigin(text.replace(/\/$/, ''));
  if (origin === null) {
    throw new UsageError(`${name} must be an origin such as https://example.org, not ${JSON.stringify(text)}`);
  }
  return origin.serialized;
}

/** Checks the token. The error does not contain it, because the error may go to a log. */
function readToken(text: string, name: string): string {
  if (text.trim() === '') throw new UsageError(`${name} is only white space: set it to a key, or unset it`);
  if (text.trim() !== text) throw new UsageError(`${name} must not begin or end with white space`);
  return text;
}

/** Checks the URL of a join. The errors do not contain it, because it may hold a secret. */
function readJoinUrl(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^(?:ws|http)s?:$/.test(url.protocol) || url.hostname === '') {
    throw new UsageError(`${name} must be the URL of a hypivisor, such as wss://hub.example/ws`);
  }
  if (url.searchParams.has('token') || url.hash.includes('token=')) {
    throw new UsageError(`${name} must have no token in its URL, where others can see it: set HYPI_JOIN_TOKEN`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`${name} must have no user and no password in its URL: set HYPI_JOIN_TOKEN`);
  }
  return text;
}

function readFeatures(text: string, name: string): HubFeature[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  const features = Object.values(HubFeature);
  if (words.length === 0 || !words.every((word) => features.some((feature) => feature === word))) {
    throw new UsageError(`${name} must be some of ${features.join(', ')}, not ${JSON.stringify(text)}`);
  }
  return features.filter((feature) => words.includes(feature));
}

function readHubName(text: string, name: string): string {
  if (
    text.trim() !== text ||
    text === '' ||
    Buffer.byteLength(text) > HUB_LIMITS.name ||
    /[\p{Cc}\p{Cs}]/u.test(text)
  ) {
    throw new UsageError(`${name} must be a name of at most ${HUB_LIMITS.name} bytes, not ${JSON.stringify(text)}`);
  }
  return text;
}

function readCommand(text: string, name: string): string[] {
  const words = text.trim().startsWith('[') ? parseJson(text) : text.trim().split(/\s+/);
  const isCommand = Array.isArray(words) && words.every((word) => typeof word === 'string') && words[0];
  if (!isCommand) {
    throw new UsageError(`${name} must be words or a JSON array of strings, not ${JSON.stringify(text)}`);
  }
  return words as string[];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readLogFormat(text: string, name: string): LogFormat {
  if (text === 'text' || text === 'json') return text;
  throw new UsageError(`${name} must be text or json, not ${JSON.stringify(text)}`);
}

/** @returns an absolute path, or 'none' */
function readLogFile(text: string, name: string): string {
  if (text === '') throw new UsageError(`${name} must be a path or none, not ""`);
  return text === 'none' ? text : path.resolve(text);
}
