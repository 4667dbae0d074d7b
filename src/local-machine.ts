/**
 * Acts on this machine for a caller: lists folders and starts agents, within the home folder. Keeps the output files of
 * those agents within their bounds.
 */
import { listDirectories } from './host/directories.ts';
import { hostError } from './host/error.ts';
import { Jail } from './host/jail.ts';
import { removeAbandoned, truncateOversized } from './host/output.ts';
import { spawnAgent } from './host/spawn.ts';
import type { Settings } from './options.ts';
import type { Host } from './registry/endpoint.ts';
import { RpcError } from './registry/rpc.ts';
import { Deadline, type Deadlines, type Expiring } from './transport/deadlines.ts';

export interface LocalMachineContext {
  readonly settings: Settings;
  readonly deadlines: Deadlines;
  /** The registry's URL, at which the agents started here find this very daemon. */
  readonly ownUrl: () => string;
  /** Hears of what somebody should mend, in a sentence. */
  readonly warn: (sentence: string) => void;
}

export class LocalMachine implements Host, Expiring {
  readonly #context: LocalMachineContext;
  readonly #outputCheck = new Deadline(this);
  #tendsOutput = false;

  constructor(context: LocalMachineContext) {
    this.#context = context;
  }

  listDirectories(params: Record<string, unknown>): Promise<unknown> {
    return this.#asCaller((jail) => listDirectories(jail, params.path));
  }

  spawnAgent(params: Record<string, unknown>): Promise<unknown> {
    return this.#asCaller((jail) => this.#spawn(jail, params));
  }

  /** Looks at the agents' output now and from time to time, until `close`. */
  tendOutput(): void {
    this.#tendsOutput = true;
    // Not awaited: the folder may be on a mount that never answers.
    void this.#checkOutput();
  }

  onDeadline(): void {
    void this.#checkOutput();
  }

  close(): void {
    this.#tendsOutput = false;
    this.#context.deadlines.clear(this.#outputCheck);
  }

  /** What a caller asks for, within the home folder. Its errors are sentences for the caller. */
  async #asCaller<T>(act: (jail: Jail) => Promise<T>): Promise<T> {
    try {
      return await act(await Jail.open(this.#context.settings.home));
    } catch (error) {
      // What is no HostError yet, a missing home folder for one, is this machine's trouble too, and becomes a sentence.
      throw new RpcError(hostError('Cannot use the home folder', error).message);
    }
  }

  #spawn(jail: Jail, params: Record<string, unknown>): Promise<unknown> {
    const { settings, ownUrl } = this.#context;
    const { environment, outputDirectory, spawnCommand, token } = settings;
    // The agent is to register with this very daemon.
    const env: NodeJS.ProcessEnv = { ...environment, HYPIVISOR_WS: ownUrl() };
    if (token !== null) env.HYPI_TOKEN = token;
    return spawnAgent(jail, { command: spawnCommand, env, outputDirectory }, params);
  }

  async #checkOutput(): Promise<void> {
    const { settings, deadlines } = this.#context;
    const { outputDirectory, limits } = settings;
    const warn = (path: string, { message }: Error) =>
      this.#context.warn(`Cannot tend the agents' output in ${path}: ${message}`);
    try {
      await truncateOversized(outputDirectory, limits.maxOutputBytes, warn);
      await removeAbandoned(outputDirectory, limits.outputRetentionMs, Date.now(), warn);
    } catch (error) {
      warn(outputDirectory, error as Error);
    }
    if (this.#tendsOutput) deadlines.set(this.#outputCheck, limits.outputCheckIntervalMs);
  }
}
