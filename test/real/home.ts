/** A home folder for pis: it knows one model, and nothing of it is anybody's. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export class Home {
  readonly path: string;

  private constructor(folder: string) {
    this.path = folder;
  }

  /** @param modelUrl of the model; @param settings beside the model's, for `settings.json` */
  static async create(modelUrl: string, settings: object = {}): Promise<Home> {
    const home = new Home(await realpath(await mkdtemp(path.join(os.tmpdir(), 'hypivisor-real-'))));
    const agent = path.join(home.path, '.pi', 'agent');
    await mkdir(agent, { recursive: true });
    await mkdir(home.work);
    const model = {
      id: 'mock-1',
      name: 'Mock',
      reasoning: true,
      input: ['text', 'image'],
      contextWindow: 400_000,
      maxTokens: 16_000,
      cost: { input: 1, output: 2, cacheRead: 0, cacheWrite: 0 },
    };
    const provider = { baseUrl: modelUrl, api: 'openai-completions', apiKey: 'x', models: [model] };
    await writeFile(path.join(agent, 'models.json'), JSON.stringify({ providers: { mock: provider } }));
    const retry = { enabled: true, maxRetries: 3, baseDelayMs: 1000 };
    const compaction = { keepRecentTokens: 2000 };
    const all = { defaultProvider: 'mock', defaultModel: 'mock-1', retry, compaction, quietStartup: true, ...settings };
    await writeFile(path.join(agent, 'settings.json'), JSON.stringify(all));
    return home;
  }

  /** The folder that pi is started in. */
  get work(): string {
    return path.join(this.path, 'work');
  }

  /** The log that all parts share, a line each. */
  async log(): Promise<{ msg: string; needsHardening?: boolean; boundary?: string; stack?: string }[]> {
    const text = await readFile(path.join(this.path, '.pi', 'logs', 'hyper-pi.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  async remove(): Promise<void> {
    // pi may still be writing its last words.
    for (let tries = 0; ; tries++) {
      try {
        await rm(this.path, { recursive: true, force: true });
        return;
      } catch (error) {
        if (tries === 20) throw error;
        await sleep(100);
      }
    }
  }

  environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.path,
      LANG: 'C.UTF-8',
      PI_OFFLINE: '1',
      PI_SKIP_VERSION_CHECK: '1',
      PI_TELEMETRY: '0',
      HYPIVISOR_AUTOSTART: '0',
      PI_SOCKET_RECONNECT_MS: '200',
      ...more,
    };
  }
}
