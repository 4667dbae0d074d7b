/**
 * Acts on this machine for a caller: lists folders and sessions, starts agents within the home folder, and watches
 * them. It also keeps the output files of those agents within their bounds.
 */
import path from 'node:path';
import type { Tell } from './events.ts';
import { Agents, type EndedAgent, type Registration } from './host/agents.ts';
import { personalEnvironment } from './host/environment.ts';
import { HostError } from './host/error.ts';
import { Helper } from './host/helper-process.ts';
import type { Settings } from './options.ts';
import { Environment } from './protocol/environment.ts';
import type { Result } from './protocol/registry.ts';
import type { Caller, Machine } from './registry/methods.ts';
import { RpcError } from './registry/rpc.ts';
import { Deadline, type Deadlines, type Expiring } from './transport/deadlines.ts';
import { freeMemory } from './vitals.ts';

/** The program of the helper process. It is a file of its own, even if everything else is bundled into one file. */
const HELPER_PROGRAM = new URL(`host/helper${path.extname(import.meta.url)}`, import.meta.url);

export interface LocalMachineContext {
  readonly settings: Settings;
  readonly deadlines: Deadlines;
  /** The URL of this daemon's registry, for the agents started here. */
  readonly ownUrl: () => string;
  /** Called with a sentence about a problem that a person should fix. */
  readonly warn: (sentence: string) => void;
  readonly tell: Tell;
}

export class LocalMachine implements Machine, Expiring {
  readonly #context: LocalMachineContext;
  readonly #helper: Helper;
  readonly #agents: Agents;
  /** The environment that agents inherit. */
  readonly #environment: NodeJS.ProcessEnv;
  readonly #outputCheck = new Deadline(this);
  #tendsOutput = false;

  constructor(context: LocalMachineContext) {
    this.#context = context;
    const { settings, tell } = context;
    const { home, limits, maxAgents, minFreeMemory, outputDirectory, spawnCommand } = settings;
    const timeoutMs = limits.hostTimeoutMs;
    this.#environment = settings.environment ?? personalEnvironment(process.env);
    const onFault = (error: unknown) => tell('fault', error);
    this.#helper = new Helper({ program: HELPER_PROGRAM, timeoutMs, onFault });
    this.#agents = new Agents(this.#helper, {
      home,
      command: spawnCommand,
      outputDirectory,
      settleMs: limits.spawnSettleMs,
      timeoutMs,
      admission: { maxAgents, minFreeMemory },
      freeMemory,
      onStarted: (agent) => {
        tell('agentStarted', agent);
        this.#tendOutputLater();
      },
      onEnded: (agent) => tell('agentEnded', agent),
    });
  }

  listDirectories(params: Record<string, unknown>): Promise<Result<'list_directories'>> {
    const { home } = this.#context.settings;
    return asCaller(this.#helper.ask('listDirectories', { home, path: params.path }));
  }

  listSessions(params: Record<string, unknown>): Promise<Result<'list_sessions'>> {
    const { home } = this.#context.settings;
    return asCaller(this.#helper.ask('listSessions', { home, environment: this.#environment, path: params.path }));
  }

  async spawnAgent(params: Record<string, unknown>, caller: Caller): Promise<Result<'spawn_agent'>> {
    const { settings, ownUrl } = this.#context;
    const { token } = settings;
    // The agent should register with this daemon.
    const env: NodeJS.ProcessEnv = { ...this.#environment, [Environment.HYPIVISOR_WS]: ownUrl() };
    if (token !== null) env[Environment.HYPI_TOKEN] = token;
    const onEnded = ({ spawnId, exitCode, signal, outputEnd }: EndedAgent) =>
      caller.onSpawnEnded({ event: 'spawn_ended', spawn_id: spawnId, exit_code: exitCode, signal, output: outputEnd });
    const { remoteAddress } = caller;
    const { folder, spawnId } = await asCaller(this.#agents.start(params, env, { remoteAddress, onEnded }));
    return { status: 'spawning', path: folder, spawn_id: spawnId };
  }

  /** @throws RpcError if the id is unknown */
  spawnStatus({ spawn_id }: Record<string, unknown>): Result<'spawn_status'> {
    const spawn = typeof spawn_id === 'string' ? this.#agents.get(spawn_id) : undefined;
    if (spawn === undefined) throw new RpcError('No such spawn');
    const { nodeId, end } = spawn;
    const node = nodeId === null ? {} : { node: nodeId };
    if (end === null) return { status: nodeId === null ? 'starting' : 'registered', ...node };
    const { exitCode: exit_code, signal, outputEnd: output } = end;
    return { status: 'ended', ...node, exit_code, signal, output };
  }

  /** Notes that an agent has registered. It may have been started here. */
  noteRegistration(node: Registration): void {
    this.#agents.noteRegistration(node);
  }

  /** Tends the agents' output until `close`: first after one interval, then at every interval while agents live. */
  tendOutput(): void {
    this.#tendsOutput = true;
    this.#tendOutputLater();
  }

  onDeadline(): void {
    void this.#checkOutput();
  }

  /** Ends the helper. The agents live on. */
  close(): void {
    this.#tendsOutput = false;
    this.#context.deadlines.clear(this.#outputCheck);
    this.#helper.close();
  }

  #tendOutputLater(): void {
    const { settings, deadlines } = this.#context;
    if (this.#tendsOutput) deadlines.set(this.#outputCheck, settings.limits.outputCheckIntervalMs);
  }

  async #checkOutput(): Promise<void> {
    const { settings, warn } = this.#context;
    const { limits, outputDirectory } = settings;
    const { maxOutputBytes: maxBytes, outputRetentionMs: minAgeMs } = limits;
    let living = 1;
    try {
      const report = await this.#helper.ask('tendOutput', { outputDirectory, maxBytes, minAgeMs });
      living = report.living;
      for (const { name, reason } of report.failures) {
        warn(`Cannot tend the agents' output in ${path.join(outputDirectory, name)}: ${reason}`);
      }
    } catch (error) {
      warn(error instanceof HostError ? `${error.message} (${outputDirectory})` : String(error));
    }
    if (living > 0) this.#tendOutputLater();
  }
}

/** Passes on the errors of this machine as sentences for the caller. */
async function asCaller<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof HostError ? new RpcError(error.message) : error;
  }
}
