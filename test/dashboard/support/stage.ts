/** The built daemon with agents, for pages to look at. All of it ends with the test. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Daemon, type DaemonOptions } from '../../support/daemon.ts';
import { type AgentOptions, ScriptedAgent } from './scripted-agent.ts';

export class Stage {
  daemon: Daemon;
  readonly #t: TestContext;

  private constructor(t: TestContext, daemon: Daemon) {
    this.#t = t;
    this.daemon = daemon;
  }

  static async open(t: TestContext, options: DaemonOptions = {}): Promise<Stage> {
    const stage = new Stage(t, await Daemon.start(options));
    t.after(() => stage.daemon.stop('SIGKILL'));
    return stage;
  }

  /** Makes folders in the home folder of the daemon's user. */
  async folders(...paths: string[]): Promise<void> {
    for (const path of paths) await mkdir(join(this.daemon.home, path), { recursive: true });
  }

  get url(): string {
    return `${this.daemon.origin}/`;
  }

  async agent(id: string, options: Omit<AgentOptions, 'id'> = {}): Promise<ScriptedAgent> {
    const agent = await ScriptedAgent.start(this.daemon.registryUrl, { id, ...options });
    this.#t.after(() => agent.stop());
    return agent;
  }

  /** The daemon dies without a word. */
  async kill(): Promise<void> {
    await this.daemon.stop('SIGKILL');
  }

  /** Another daemon in the same place. */
  async restart(options: DaemonOptions = {}): Promise<void> {
    const { port } = this.daemon;
    this.daemon = await Daemon.start({ ...options, args: ['--port', String(port), ...(options.args ?? [])] });
  }
}
