/** What the documents say: their programs run, their tables are those of the code, their links lead somewhere. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withLimits } from '../scripts/limits-table.ts';
import { USAGE } from '../src/command/command-line.ts';
import { DEFAULT_LIMITS } from '../src/options.ts';
import { Client } from './support/client.ts';
import { Daemon } from './support/daemon.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PATIENCE_MS = 30_000;
const TOKEN = 'a+b %';
const withoutPython = spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not installed';

const readText = (path: string) => readFile(join(ROOT, path), 'utf8');

/** A program's process and what it prints. */
class Program {
  readonly process: ChildProcess;
  output = '';
  readonly #closed: Promise<void>;

  constructor(name: string, env: NodeJS.ProcessEnv, interpreter = process.execPath) {
    const { PATH, NODE_V8_COVERAGE } = process.env;
    this.process = spawn(interpreter, [name], { cwd: ROOT, env: { PATH, NODE_V8_COVERAGE, ...env } });
    this.#closed = new Promise((resolve) => this.process.once('close', () => resolve()));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  async prints(text: string): Promise<void> {
    const endsAt = Date.now() + PATIENCE_MS;
    while (!this.output.includes(text)) {
      assert.ok(Date.now() < endsAt && this.process.exitCode === null, `no ${text} in:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until it has ended, and all that it printed has come. @returns its exit code; null where it had to be killed */
  async end(): Promise<number | null> {
    const late = setTimeout(() => this.process.kill('SIGKILL'), PATIENCE_MS);
    await this.#closed;
    clearTimeout(late);
    return this.process.exitCode;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.end();
  }
}

describe('examples/', () => {
  it('is what README.md and docs/agents.md show', async () => {
    const pages = (await readText('README.md')) + (await readText('docs/agents.md'));
    const shown = [...pages.matchAll(/```(?:js|python)\n((?:\/\/|#) (examples\/\w+\.(?:mjs|py))\n[\s\S]*?)```/g)];
    const names = shown.map(([, , name = '']) => name);
    const files = await readdir(join(ROOT, 'examples'));
    assert.deepEqual(names.sort(), files.map((name) => `examples/${name}`).sort());
    for (const [, text, name = ''] of shown) assert.equal(await readText(name), text, name);
  });

  for (const token of ['', TOKEN]) {
    it(`agent and dashboard meet ${token ? 'with' : 'without'} a token`, async (t) => {
      const daemon = await Daemon.start({ env: { HYPI_TOKEN: token } });
      t.after(() => daemon.stop());
      const env = { HYPIVISOR_WS: daemon.registryUrl, HYPI_TOKEN: token };
      const agent = new Program('examples/agent.mjs', env);
      t.after(() => agent.kill());
      await agent.prints('{"id":1,"result":{"status":"registered"}}');

      const dashboard = new Program('examples/dashboard.mjs', env);
      t.after(() => dashboard.kill());
      await dashboard.prints('roster {"event":"init","nodes":[{"id":"echo",');
      await dashboard.prints('echo {"type":"init_state"');
      await dashboard.prints('echo {"type":"message_end"');
      assert.match(dashboard.output, /"text":"You said: Hello"/);
      await agent.kill();
      await dashboard.prints('roster {"event":"node_offline","id":"echo"}');
      await dashboard.prints('echo has left 1014');
    });
  }

  it('an agent of the standard library of Python joins, with a token and without', {
    skip: withoutPython,
  }, async (t) => {
    for (const token of ['', TOKEN]) {
      const daemon = await Daemon.start({ env: { HYPI_TOKEN: token } });
      t.after(() => daemon.stop());
      const agent = new Program(
        'examples/agent.py',
        { HYPIVISOR_WS: daemon.registryUrl, HYPI_TOKEN: token },
        'python3',
      );
      t.after(() => agent.kill());
      await agent.prints('{"id":1,"result":{"status":"registered"}}');
      const query = `?token=${encodeURIComponent(token)}`;
      const client = await Client.open(`${daemon.relayUrl('echo-py')}${query}`);
      assert.deepEqual(await client.nextJson(), { type: 'init_state', messages: [], tools: [] });
      const prompt = 'é'.repeat(40_000);
      client.socket.send(prompt);
      for (const type of ['message_start', 'message_update', 'message_end']) {
        const content = [{ type: 'text', text: `You said: ${prompt}` }];
        assert.deepEqual(await client.nextJson(), { type, message: { role: 'assistant', content } });
      }
      client.socket.close(1000);
      assert.equal((await client.closed).code, 1000);
    }
  });

  it('the daemon is embedded', async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    t.after(() => rm(home, { recursive: true, force: true }));
    const program = new Program('examples/embed.mjs', { HOME: home });
    t.after(() => program.kill());
    assert.equal(await program.end(), 0, program.output);
    assert.match(program.output, /^listening on 127\.0\.0\.1.*, port \d+\n\{ port: \d+, hosts: \[.*\] \} \[\]\n$/);
  });
});

describe('README.md', () => {
  it('has the flags, variables and defaults that --help has, and no others', async () => {
    const readme = await readText('README.md');
    const table = readme.slice(readme.indexOf('## Options'), readme.indexOf('| Exit code'));
    const names = (text: string) => new Set(text.match(/--[a-z][a-z-]+|\bHYPI_[A-Z_]+|(?<![\w-])-[a-z]\b/g));
    assert.deepEqual([...names(table)].filter((name) => !names(USAGE).has(name)).sort(), []);
    assert.deepEqual([...names(USAGE)].filter((name) => !names(table).has(name)).sort(), []);
    for (const [, variable, value] of USAGE.matchAll(/\((HYPI_\w+), default:? ([^,)\n]+)\)/g)) {
      const row = table.split('\n').find((line) => line.startsWith('| `-') && line.includes(variable as string));
      for (const word of (value as string).split(' ')) assert.ok(row?.includes(word), `${variable}: ${value}`);
    }
  });
});

describe('docs/reliability.md', () => {
  it('has the limits as src/options.ts has and explains them', async () => {
    const document = await readText('docs/reliability.md');
    assert.equal(document, await withLimits(document), '`npm run docs` writes them anew');
  });

  it('has every limit with its value', async () => {
    const document = await readText('docs/reliability.md');
    const table = document.slice(0, document.indexOf('### What others do'));
    const rows = table.matchAll(/^\| `(max\w+|\w+Ms|\w+Bytes)` \| (.+?) \|/gm);
    const told = Object.fromEntries([...rows].map(([, name, value]) => [name as string, value as string]));
    assert.deepEqual(Object.keys(told).sort(), Object.keys(DEFAULT_LIMITS).sort());
    for (const [name, value] of Object.entries(DEFAULT_LIMITS))
      assert.equal(toNumber(told[name] as string), value, name);
  });

  it('compares no limit that is none', async () => {
    const document = await readText('docs/reliability.md');
    const compared = document.slice(document.indexOf('### What others do'), document.indexOf('## Measured'));
    for (const [, name = ''] of compared.matchAll(/^\| `(\w+)` \|/gm)) assert.ok(name in DEFAULT_LIMITS, name);
  });
});

describe("README.md's note on npm's warning", () => {
  it('quotes the warning, which comes after `prepare` has run', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'hypivisor-npm-'));
    t.after(() => rm(folder, { recursive: true }));
    const [source, project] = [join(folder, 'source'), join(folder, 'project')];
    await Promise.all([mkdir(source), mkdir(project)]);
    const { name, version, allowScripts } = JSON.parse(await readText('package.json'));
    const scripts = { prepare: `node -e "require('fs').writeFileSync('built', '')"` };
    await writeFile(join(source, 'package.json'), JSON.stringify({ name, version, allowScripts, scripts }));
    await writeFile(join(project, 'package.json'), '{"name": "project", "version": "1.0.0"}');

    const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith('npm_')));
    const args = ['install', '--offline', '--no-audit', '--no-fund', '--no-update-notifier', source];
    const { status, stderr } = spawnSync('npm', args, {
      cwd: project,
      env: { ...env, HOME: folder, npm_config_cache: join(folder, 'cache') },
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    assert.equal(status, 0, stderr);
    await access(join(source, 'built'));
    const [, warning = ''] = /script `prepare` is "([^"]+)"/.exec(await readText('README.md')) ?? [];
    assert.match(warning, /allowScripts/);
    if (!stderr.includes('allowScripts')) return t.skip('this npm does not warn');
    assert.ok(stderr.includes(warning), stderr);
  });
});

describe('ARCHITECTURE.md', () => {
  it('names every file of src/', async () => {
    const architecture = await readText('ARCHITECTURE.md');
    const house = architecture.slice(architecture.indexOf('```\nsrc/'), architecture.indexOf('## The walls'));
    const entries = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true });
    // docs/dashboard.md draws the dashboard's own house.
    const files = entries
      .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(ROOT, 'src', 'dashboard')))
      .map(({ name }) => name.replace(/\.ts$/, ''));
    const words = new Set(house.match(/[a-z][a-z0-9-]*/g));
    assert.deepEqual(
      files.filter((file) => !words.has(file)),
      [],
    );
  });
});

describe('docs/dashboard.md', () => {
  it('names every file of src/dashboard/', async () => {
    const document = await readText('docs/dashboard.md');
    const words = new Set(/```\nsrc\/dashboard\/[\s\S]*?```/.exec(document)?.[0].match(/[a-z][a-z0-9-]*/g));
    const entries = await readdir(join(ROOT, 'src', 'dashboard'), { recursive: true });
    const names = entries.flatMap((path) => /([\w-]+)(?:\.d)?\.(?:tsx?|css)$/.exec(path)?.[1] ?? []);
    assert.ok(names.length > 50);
    assert.deepEqual(
      names.filter((name) => !words.has(name)),
      [],
    );
  });
});

describe('docs/security.md', () => {
  /** The tests that a row of the table of threats names, by file. */
  async function testsNamed(): Promise<[threat: string, file: string, names: string[]][]> {
    const document = await readText('docs/security.md');
    const table = document.slice(document.indexOf('## Threats'), document.indexOf('## Exposing'));
    return [...table.matchAll(/^\| (.+?) \| .+? \| (.+) \|$/gm)].slice(1).flatMap(([, threat = '', shownBy = '']) =>
      shownBy.split('; [').map((shown): [string, string, string[]] => {
        const [, file = ''] = /\]\(\.\.\/(test\/[^)]+)\)/.exec(shown) ?? [];
        return [threat, file, Array.from(shown.matchAll(/"([^"]+)"/g), ([, name = '']) => name)];
      }),
    );
  }

  it('names a test for each threat, and each test that it names exists', async () => {
    const named = await testsNamed();
    assert.ok(named.length > 25);
    for (const [threat, file, names] of named) {
      assert.ok(names.length > 0, threat);
      const text = await readText(file);
      for (const name of names) assert.ok(text.includes(name), `${threat}: ${file} "${name}"`);
    }
  });

  it('names every file of test/threats/', async () => {
    const files = new Set((await testsNamed()).map(([, file]) => file));
    for (const file of await readdir(join(ROOT, 'test/threats'))) assert.ok(files.has(`test/threats/${file}`), file);
  });
});

describe('the documents', () => {
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'docs/dashboard.md',
    'docs/security.md',
    'docs/reliability.md',
    'docs/performance.md',
  ];

  it('link to files that exist', async () => {
    for (const document of documents) {
      for (const [, path = ''] of (await readText(document)).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        await access(join(ROOT, dirname(document), path)).catch(() => assert.fail(`${document}: ${path}`));
      }
    }
  });

  it('name npm scripts that exist', async () => {
    const { scripts } = JSON.parse(await readText('package.json'));
    for (const document of documents) {
      for (const [, script = ''] of (await readText(document)).matchAll(/npm run ([\w:]+)/g)) {
        assert.ok(script in scripts, `${document}: npm run ${script}`);
      }
    }
  });
});

/** `16 KiB`, `2.5 s`, `7 days`, `20,000`, `∞` → the number in the code. */
function toNumber(text: string): number {
  const UNITS: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, ms: 1, s: 1000, days: 24 * 3600 * 1000 };
  const [amount = '', unit] = text.replaceAll(',', '').split(' ');
  return amount === '∞'
    ? Number.POSITIVE_INFINITY
    : Number(amount) * (unit === undefined ? 1 : (UNITS[unit] ?? Number.NaN));
}
