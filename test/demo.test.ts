/** The demo as a newcomer runs it: a process that shows a living roster and a chat, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdtemp, readdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from './support/client.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PATIENCE_MS = 60_000;
const STOPPING_MS = 10_000;

/** The demo's process, with a folder of its own for what is temporary, and a home folder that does not exist. */
class Demo {
  readonly process: ChildProcess;
  output = '';
  readonly #closed: Promise<void>;

  constructor(folder: string, args: string[]) {
    const { PATH, NODE_V8_COVERAGE } = process.env;
    this.process = spawn(process.execPath, ['--import', 'tsx', 'demo/main.ts', ...args], {
      cwd: ROOT,
      env: { PATH, NODE_V8_COVERAGE, TMPDIR: folder, HOME: join(folder, 'home') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = new Promise((resolve) => this.process.once('close', () => resolve()));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  /** Waits until it has printed this. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const endsAt = Date.now() + PATIENCE_MS;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      assert.equal(this.process.exitCode, null, `ended without ${pattern}:\n${this.output}`);
      assert.ok(Date.now() < endsAt, `no ${pattern} in:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Waits until it has ended, and all that it printed has come. @returns its exit code; null where it had to be killed */
  async end(patienceMs = PATIENCE_MS): Promise<number | null> {
    const late = setTimeout(() => this.process.kill('SIGKILL'), patienceMs);
    await this.#closed;
    clearTimeout(late);
    return this.process.exitCode;
  }

  /** Told to end, it ends its daemon too; killed, it cannot. */
  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.end(STOPPING_MS);
  }
}

async function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'hypivisor-test-'));
}

/** A demo in a folder of its own; both are gone when the test is over. */
async function start(t: TestContext, ...args: string[]): Promise<{ demo: Demo; folder: string }> {
  const folder = await makeFolder();
  const demo = new Demo(folder, args);
  t.after(async () => {
    await demo.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return { demo, folder };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

describe('npm run demo', () => {
  let folder: string;
  let demo: Demo;
  let port: number;

  before(async () => {
    folder = await makeFolder();
    demo = new Demo(folder, ['--port', '0']);
    const [, printed] = await demo.says(/listens on port (\d+)/);
    port = Number(printed);
  });

  after(async () => {
    await demo.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('shows agents that join, chat, vanish, begin anew and come back', async () => {
    await demo.says(/joined +emmy /);
    await demo.says(/ada → you: .+ The parser .+before it\.\n/);
    await demo.says(/offline +emmy +\(6 active; offline: emmy\)/);
    await demo.says(/joined +\S+ .* in place of joan /);
    await demo.says(/back +emmy /);
  });

  it('lets anyone talk to an agent from another terminal', async (t) => {
    const prompts = ['And what did you change, please?', 'Why does the build fail?', 'Hello'];
    const talk = new Demo(folder, ['talk', 'ada', ...prompts, '--port', String(port)]);
    t.after(() => talk.stop());
    assert.equal(await talk.end(), 0, talk.output);
    const lines = talk.output.trimEnd().split('\n');
    assert.equal(lines.length, prompts.length);
    // Each to what was asked, and a sample agent says that it is one.
    const answers = [
      /^One line in src\/lexer\.ts/,
      /^The loop leaves/,
      /^I am ada, .+ no model .+ “Why does the build/,
    ];
    for (const [i, answer] of answers.entries()) assert.match(lines[i] as string, answer);
  });

  it('says why an agent cannot be talked to', async (t) => {
    const talk = new Demo(folder, ['talk', 'nobody', 'Hello', '--port', String(port)]);
    t.after(() => talk.stop());
    assert.equal(await talk.end(), 1);
    assert.equal(talk.output, 'Agent not found\n');
  });

  it('has agents that answer every request of the language, and stop when told to', async () => {
    const client = await Client.open(`ws://127.0.0.1:${port}/ws/agent/ada`);
    const init = await client.nextJson();
    assert.equal(init.type, 'init_state');
    assert.ok(Array.isArray(init.messages) && Array.isArray(init.tools));

    const answer = (type: string) => client.until((message) => message.type === type);
    client.send({ type: 'list_commands' });
    assert.match((await answer('commands_list')).commands[0].name, /^\//);
    client.send({ type: 'list_files', prefix: 'src/' });
    const { files, cwd } = await answer('files_list');
    assert.match(cwd, /[/\\]compiler$/);
    assert.deepEqual(files[0], { path: 'src/lexer.ts', isDirectory: false });
    client.send({ type: 'attach_file', filename: 'a.txt', content: 'YQ==' });
    assert.deepEqual(await answer('attach_file_ack'), { type: 'attach_file_ack', filename: 'a.txt', success: true });

    client.socket.send('Tell me');
    for (const type of ['start', 'update', 'end']) await answer(`tool_execution_${type}`);
    const update = await answer('message_update');
    assert.equal(update.message.role, 'assistant');
    client.send({ type: 'abort' });
    const { message } = await client.until(
      ({ type, message }) => type === 'message_end' && message.role === 'assistant',
    );
    assert.equal(message.stopReason, 'aborted');

    client.send({ type: 'fetch_history', before: 1000, limit: 1 });
    const page = await answer('history_page');
    assert.deepEqual(page.messages, [message]);
    assert.equal(page.hasMore, true);
    await client.close();
  });

  it('leaves nothing behind when it is interrupted', async () => {
    demo.process.kill('SIGINT');
    assert.equal(await demo.end(), 0, demo.output);
    assert.equal(await isListening(port), false);
    const left = await readdir(folder);
    // tsx keeps what it has compiled.
    assert.deepEqual(
      left.filter((name) => !name.startsWith('tsx-')),
      [],
    );
  });
});

describe('npm run demo -- --seconds', () => {
  it('ends by itself', async (t) => {
    const { demo, folder } = await start(t, '--port', '0', '--seconds', '1');
    assert.equal(await demo.end(), 0, demo.output);
    const [, port] = /listens on port (\d+)/.exec(demo.output) ?? [];
    assert.equal(await isListening(Number(port)), false);
    await assert.rejects(access(join(folder, 'home')));
  });

  it('ends, and leaves nothing, when nobody reads what it prints', async (t) => {
    const { demo, folder } = await start(t, '--port', '0');
    await demo.says(/listens on port/);
    demo.process.stdout?.destroy();
    assert.equal(await demo.end(), 0, demo.output);
    const left = await readdir(folder);
    assert.deepEqual(
      left.filter((name) => !name.startsWith('tsx-')),
      [],
    );
  });

  it('refuses what it does not understand', async (t) => {
    for (const args of [['--seconds', 'x'], ['--port', '-1'], ['dance'], ['talk'], ['--loud']]) {
      const { demo } = await start(t, ...args);
      assert.equal(await demo.end(), 2, args.join(' '));
      assert.match(demo.output, /Usage:/);
    }
  });
});
