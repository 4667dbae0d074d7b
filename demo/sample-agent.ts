/**
 * A sample agent: a pi that plays what was written beforehand, served by this package's own extension.
 *
 *   daemon ◀── registers ── PiSession ◀── events ── SamplePi
 *   client ──▶ daemon ──▶ PiSession ──▶ prompts, answers ──▶ SamplePi
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createBoundary } from '../src/agent/boundary.ts';
import type { Daemon } from '../src/agent/daemon.ts';
import { AgentLog } from '../src/agent/log.ts';
import { PiSession } from '../src/agent/session.ts';
import { readSettings } from '../src/agent/settings.ts';
import type { Shared } from '../src/agent/shared.ts';
import type { Character } from './cast.ts';
import { SamplePi } from './sample-pi.ts';
import type { Step } from './script.ts';

/** No log of the user's is written to; a fault of ours is to be seen. */
class Stderr extends AgentLog {
  override info(): void {}
  override warn(text: string): void {
    process.stderr.write(`${text}\n`);
  }
  override fault(error: unknown): void {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  }
}

const log = new Stderr('');
const boundary = createBoundary(log);
/** No sample agent starts a daemon: its settings say where one is. */
const NO_DAEMON = null as unknown as Daemon;

export class SampleAgent {
  readonly character: Character;
  readonly #registryUrl: string;
  readonly #pi: SamplePi;
  /** Each has its own, as each pi is a process of its own. */
  readonly #shared: Shared;
  #session: PiSession | null = null;
  #sessions = 1;

  private constructor(character: Character, cwd: string, registryUrl: string) {
    this.character = character;
    this.#registryUrl = registryUrl;
    this.#pi = new SamplePi(character, cwd);
    // By its own name it is easily talked to.
    const inheritance = { nodeId: character.id, port: null };
    this.#shared = { copies: [], inheritance, dialKey: `dial-${character.id}`, spawnId: null, serving: null };
  }

  /**
   * Lays its folder, serves on a free port, and registers.
   *
   * @param home the demo's own
   */
  static async start(character: Character, home: string, registryUrl: string): Promise<SampleAgent> {
    const cwd = join(home, character.folder);
    await mkdir(cwd, { recursive: true });
    for (const [path, contents] of Object.entries(character.files)) {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), contents);
    }
    const agent = new SampleAgent(character, cwd, registryUrl);
    await agent.connect();
    return agent;
  }

  get id(): string {
    return this.#session?.nodeId ?? this.character.id;
  }

  /** Somebody talks to it. */
  get busy(): boolean {
    return (this.#session?.clients ?? 0) > 0 || !this.#pi.isIdle();
  }

  /** Registers. Under the id it had before, it is the same node coming back. */
  async connect(): Promise<void> {
    const environment = { HYPIVISOR_WS: this.#registryUrl };
    const session = new PiSession({
      pi: this.#pi,
      context: this.#pi,
      settings: { ...readSettings(environment), autostart: false },
      environment,
      shared: this.#shared,
      daemon: NO_DAEMON,
      log,
      boundary,
      settles: true,
    });
    this.#session = session;
    this.#pi.listener = (name, event) => session.event(name, event);
    await session.start();
  }

  /** Is away for a while, and will be the same when it is back. */
  async vanish(): Promise<void> {
    await this.#session?.end('reload');
    this.#session = null;
  }

  /** A new session has a new id; whoever looks at the old one is led to it. */
  async newSession(): Promise<void> {
    await this.#session?.end('new');
    this.#sessions++;
    this.#pi.renew(`${this.character.name}, take ${this.#sessions}`);
    await this.connect();
  }

  /** Begins something by itself, unless it is at something. @param prompt what somebody said; null for nobody */
  begin(prompt: string | null, steps: readonly Step[]): void {
    void this.#pi.run(prompt, steps);
  }

  async stop(): Promise<void> {
    this.#pi.abort();
    await this.#session?.end('quit');
    this.#session = null;
  }
}
