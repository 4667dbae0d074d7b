/**
 * The agents that this daemon has started. It serves `spawn_agent`, and watches each agent until it ends.
 *
 *   prepared ─▶ STARTING ─┬▶ REGISTERED ─┬▶ ENDED
 *                         └──────────────┘
 *
 * The daemon keeps no pipe to an agent; Node only waits for its process. An agent outlives the daemon, and the next
 * daemon does not know it until it registers.
 */

import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { type AdmissionLimits, admitAgent } from './admission.ts';
import { HostError, hostError } from './error.ts';
import type { Helper } from './helper-process.ts';
import { launch } from './launch.ts';
import { outputFileName } from './output.ts';
import type { SpawnParams } from './prepare.ts';
import { within } from './silent-paths.ts';

export interface AgentsOptions {
  readonly home: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly outputDirectory: string;
  /** How long an agent must live without registering before its caller gets an answer, in milliseconds. */
  readonly settleMs: number;
  /** How long the start of the process may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly admission: AdmissionLimits;
  /** Returns the free memory in bytes; null if unknown. */
  readonly freeMemory: () => number | null;
  readonly onStarted: (agent: StartedAgent) => void;
  readonly onEnded: (agent: EndedAgent) => void;
}

/** An agent whose process was started. */
export interface StartedAgent {
  readonly spawnId: string;
  /** The IP address of the caller. */
  readonly remoteAddress: string;
  readonly command: readonly string[];
  /** The canonical path of the agent's folder. */
  readonly folder: string;
  readonly processId: number;
  /** The path of the output file. */
  readonly output: string;
}

export interface EndedAgent extends StartedAgent {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  /** Null if it exited. */
  readonly signal: NodeJS.Signals | null;
  readonly durationMs: number;
  /** The end of the agent's output. */
  readonly outputEnd: string;
}

export interface Caller {
  /** The caller's IP address. */
  readonly remoteAddress: string;
  /** Called when an agent of this caller has ended, and the caller had the answer that it starts. */
  readonly onEnded?: (agent: EndedAgent) => void;
}

/** The fields of a registration that identify its start. */
export interface Registration {
  readonly id: string;
  readonly cwd: string;
  readonly pid?: number;
  readonly spawn_id?: string;
}

/** The state of one start. */
export interface Spawn {
  readonly agent: StartedAgent;
  /** The id of the node; null until the agent has registered. */
  nodeId: string | null;
  end: EndedAgent | null;
  /** Must be called once the start has succeeded or failed. */
  settle: () => void;
}

interface Launched {
  readonly agent: StartedAgent;
  readonly child: ChildProcess;
  /** On the clock of `performance`. */
  readonly startedAt: number;
}

/** The number of starts kept after their agents have ended. Callers ask within seconds. */
const MAX_REMEMBERED = 1000;

export class Agents {
  readonly #helper: Helper;
  readonly #options: AgentsOptions;
  /** The starts by their spawn id, oldest first. */
  readonly #spawns = new Map<string, Spawn>();
  /** The starts whose agents have neither registered nor ended. */
  readonly #starting = new Set<Spawn>();
  /**
   * The number of agents that live or are being started. Each counts from its request on, so a flood is bounded too.
   */
  #living = 0;

  constructor(helper: Helper, options: AgentsOptions) {
    this.#helper = helper;
    this.#options = options;
  }

  /** The state of a start, or undefined if this daemon does not know it or has forgotten it. */
  get(spawnId: string): Spawn | undefined {
    return this.#spawns.get(spawnId);
  }

  /**
   * Notes that an agent has registered. An agent that was started here is recognised by its spawn id, or else by its
   * process and folder.
   */
  noteRegistration({ id, cwd, pid, spawn_id }: Registration): void {
    for (const spawn of this.#starting) {
      const { spawnId, processId, folder } = spawn.agent;
      if (spawn_id === undefined ? pid !== processId || cwd !== folder : spawn_id !== spawnId) continue;
      spawn.nodeId = id;
      this.#starting.delete(spawn);
      spawn.settle();
    }
  }

  /**
   * Starts an agent in the folder `path`, or in `new_folder` in it. Resolves once the agent has registered or has lived
   * for `settleMs`.
   *
   * @param environment the agent's environment, complete except for PWD and the spawn id
   * @throws HostError if this machine starts no more agents, if the agent cannot be started, or if it ends too soon;
   *   then with the end of its output
   */
  async start(params: SpawnParams, environment: NodeJS.ProcessEnv, caller: Caller): Promise<StartedAgent> {
    try {
      const { agent, end } = await this.#start(params, environment, caller);
      if (end !== null) throw new HostError(`Failed to spawn: ${describeEnd(end)}`);
      return agent;
    } catch (error) {
      throw hostError('Failed to spawn', error);
    }
  }

  async #start(params: SpawnParams, environment: NodeJS.ProcessEnv, caller: Caller): Promise<Spawn> {
    const { admission, freeMemory } = this.#options;
    admitAgent(admission, this.#living, freeMemory());
    this.#living++;
    let launched: Launched;
    try {
      launched = await this.#launch(params, environment, caller);
    } catch (error) {
      this.#living--;
      throw error;
    }
    return this.#follow(launched, caller);
  }

  async #launch(params: SpawnParams, environment: NodeJS.ProcessEnv, caller: Caller): Promise<Launched> {
    const { home, outputDirectory, timeoutMs } = this.#options;
    const [program, ...args] = this.#options.command;
    if (program === undefined) throw new HostError('Failed to spawn: no command');
    const prepared = await this.#helper.ask('prepareAgent', { home, program, environment, outputDirectory, params });
    const spawnId = randomUUID();
    const { folder, stdinFile } = prepared;
    const command = [prepared.program, ...args, ...prepared.args] as const;
    const env = { ...environment, HYPI_SPAWN_ID: spawnId };
    const startedAt = performance.now();
    const child = await launch({ spawnId, command, environment: env, folder, outputDirectory, stdinFile }, timeoutMs);
    const processId = child.pid as number;
    const agent: StartedAgent = {
      spawnId,
      remoteAddress: caller.remoteAddress,
      command: [program, ...args, ...prepared.args],
      folder,
      processId,
      output: join(outputDirectory, outputFileName(processId, spawnId)),
    };
    return { agent, child, startedAt };
  }

  async #follow({ agent, child, startedAt }: Launched, caller: Caller): Promise<Spawn> {
    const spawn: Spawn = { agent, nodeId: null, end: null, settle: () => {} };
    const settled = new Promise<void>((resolve) => {
      spawn.settle = resolve;
    });
    this.#remember(spawn);
    this.#options.onStarted(agent);
    let isAnswered = false;
    void this.#untilEnd(spawn, child, startedAt).then((end) => {
      if (isAnswered) caller.onEnded?.(end);
    });
    await within(this.#options.settleMs, settled);
    isAnswered = spawn.end === null;
    return spawn;
  }

  async #untilEnd(spawn: Spawn, child: ChildProcess, startedAt: number): Promise<EndedAgent> {
    const { agent } = spawn;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#living--;
    const durationMs = Math.round(performance.now() - startedAt);
    // If the output cannot be read, the end is reported without it.
    const outputEnd = await this.#helper.ask('readEnd', { file: agent.output }).catch(() => '');
    spawn.end = { ...agent, exitCode: child.exitCode, signal: child.signalCode, durationMs, outputEnd };
    this.#starting.delete(spawn);
    spawn.settle();
    this.#options.onEnded(spawn.end);
    return spawn.end;
  }

  #remember(spawn: Spawn): void {
    this.#starting.add(spawn);
    this.#spawns.set(spawn.agent.spawnId, spawn);
    if (this.#spawns.size <= MAX_REMEMBERED) return;
    for (const [spawnId, { end }] of this.#spawns) {
      if (end === null) continue;
      this.#spawns.delete(spawnId);
      return;
    }
  }
}

/** `pi ended at once with exit code 1: …` */
function describeEnd({ command: [program = ''], exitCode, signal, outputEnd }: EndedAgent): string {
  const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`;
  return `${basename(program)} ended at once ${how}${outputEnd === '' ? '' : `: ${outputEnd}`}`;
}
