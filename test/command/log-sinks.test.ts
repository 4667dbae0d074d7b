import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createLog, formatJson, formatText, type LogFormat } from '../../src/command/log.ts';
import { descriptorSink, fileSink, type OnTrouble } from '../../src/command/log-sinks.ts';
import { eventually } from '../support/measure.ts';

const MIB = 1024 * 1024;

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-log-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  assert.ok(text.endsWith('\n'), 'the last line has its end');
  return text.slice(0, -1).split('\n');
}

const messagesOf = async (file: string) => (await linesOf(file)).map((line) => JSON.parse(line).msg);

interface OpenOptions {
  maxBytes: number;
  format: LogFormat;
  onTrouble: OnTrouble;
}

function noTrouble(sentence: string): void {
  assert.fail(sentence);
}

describe('fileSink', () => {
  const open = (
    file: string,
    { maxBytes = MIB, format = formatJson, onTrouble = noTrouble }: Partial<OpenOptions> = {},
  ) => createLog([fileSink(file, format, maxBytes, onTrouble)]);

  it('appends a line per event, in order, behind what is there', async () => {
    const file = path.join(folder, 'order.jsonl');
    await writeFile(file, '{"msg":"another part’s"}\n');
    const log = open(file);
    for (let i = 0; i < 100; i++) log.info(`${i}`);
    await log.flush(10_000);
    log.warn('last');
    await log.flush(10_000);
    const expected = ['another part’s', ...Array.from({ length: 100 }, (_, i) => `${i}`), 'last'];
    assert.deepEqual(await messagesOf(file), expected);
  });

  it('creates the folder, closed to other users', async () => {
    const parent = path.join(folder, 'not', 'yet');
    const log = open(path.join(parent, 'log.jsonl'));
    log.info('x');
    await log.flush(10_000);
    assert.equal((await stat(parent)).mode & 0o777, 0o700);
    assert.equal((await stat(path.join(parent, 'log.jsonl'))).mode & 0o777, 0o600);

    await rm(parent, { recursive: true });
    log.info('y');
    await log.flush(10_000);
    assert.equal((await stat(parent)).mode & 0o777, 0o700);
    assert.deepEqual(await messagesOf(path.join(parent, 'log.jsonl')), ['y']);
  });

  it('writes on if the file was renamed or removed', async () => {
    const file = path.join(folder, 'renamed.jsonl');
    const log = open(file);
    log.info('first');
    await log.flush(10_000);
    await rename(file, `${file}.old`);
    log.info('second');
    await log.flush(10_000);
    assert.deepEqual([await messagesOf(`${file}.old`), await messagesOf(file)], [['first'], ['second']]);
  });

  it('past its size is renamed to .1, once a batch, and the former .1 is gone', async () => {
    const room = path.join(folder, 'rotation');
    const file = path.join(room, 'log.jsonl');
    const format: LogFormat = ({ msg }) => JSON.stringify({ msg });
    const lineBytes = '{"msg":"a"}\n'.length;
    const log = open(file, { maxBytes: 2 * lineBytes, format });
    const batches: [msgs: string[], current: string[] | null, former: string[] | null][] = [
      [['a'], ['a'], null],
      [['b'], ['a', 'b'], null],
      [['c'], null, ['a', 'b', 'c']],
      [['d'], ['d'], ['a', 'b', 'c']],
      [['e', 'f', 'g', 'h'], null, ['d', 'e', 'f', 'g', 'h']],
    ];
    for (const [msgs, current, former] of batches) {
      for (const msg of msgs) log.info(msg);
      await log.flush(10_000);
      const names = await readdir(room);
      assert.deepEqual(names.sort(), [...(current ? ['log.jsonl'] : []), ...(former ? ['log.jsonl.1'] : [])]);
      if (current) assert.deepEqual(await messagesOf(file), current);
      if (former) assert.deepEqual(await messagesOf(`${file}.1`), former);
    }
  });

  for (const [what, make] of [
    ['a link', (file: string, elsewhere: string) => symlink(elsewhere, file)],
    ['a file whose .1 is a link', (file: string, elsewhere: string) => symlink(elsewhere, `${file}.1`)],
  ] as const) {
    it(`touches neither ${what} nor the file it leads to when it is too large, and says so once`, async () => {
      const room = await mkdtemp(path.join(folder, 'linked-'));
      const [file, elsewhere] = [path.join(room, 'log.jsonl'), path.join(room, 'elsewhere')];
      await writeFile(elsewhere, '{"msg":"another program’s"}\n');
      await make(file, elsewhere);
      const troubles: string[] = [];
      const log = open(file, { maxBytes: 1, onTrouble: (sentence) => troubles.push(sentence) });
      for (const msg of ['a', 'b']) {
        log.info(msg);
        await log.flush(10_000);
      }
      const messages = [...(await messagesOf(elsewhere)), ...(what === 'a link' ? [] : await messagesOf(file))];
      assert.deepEqual(messages, ['another program’s', 'a', 'b']);
      assert.equal(troubles.length, 1);
      assert.match(troubles[0] ?? '', /cannot be rotated: .+ is not a plain file$/);
    });
  }

  it('begins a line of its own behind one that was cut short', async () => {
    const file = path.join(folder, 'cut.jsonl');
    await writeFile(file, '{"msg":"whole"}\n{"msg":"cut sh');
    const log = open(file);
    log.info('new');
    await log.flush(10_000);
    const lines = await linesOf(file);
    assert.deepEqual(lines.slice(0, 2), ['{"msg":"whole"}', '{"msg":"cut sh']);
    assert.deepEqual(
      lines.slice(2).map((line) => JSON.parse(line).msg),
      ['new'],
    );
  });

  const fifoSkip = process.platform === 'win32' && 'there are no FIFOs on Windows';

  it('that is a FIFO without a reader loses lines, says so once, and waits for nothing', {
    skip: fifoSkip,
  }, async () => {
    const file = path.join(folder, 'unread');
    await promisify(execFile)('mkfifo', [file]);
    const troubles: string[] = [];
    const log = open(file, { onTrouble: (sentence) => troubles.push(sentence) });
    for (const msg of ['a', 'b']) {
      log.info(msg);
      await log.flush(10_000);
    }
    const underWay = () => process.getActiveResourcesInfo().filter((name) => name.includes('Req'));
    await eventually(() => assert.deepEqual(underWay(), [], 'nothing hangs'));
    const loss = 'cannot be written, and lines are lost until it can: no program reads this pipe';
    assert.deepEqual(troubles, [`The log file ${file} ${loss}`]);
  });

  it('that is a FIFO stays open for its reader', { skip: fifoSkip }, async (t) => {
    const file = path.join(folder, 'read');
    await promisify(execFile)('mkfifo', [file]);
    const reader = spawn('cat', [file]);
    t.after(() => reader.kill());
    let text = '';
    reader.stdout.on('data', (chunk) => {
      text += chunk;
    });
    const log = open(file, { maxBytes: 1, onTrouble: () => {} });
    await eventually(async () => {
      log.info('hello');
      await log.flush(10_000);
      assert.match(text, /hello/);
    });
    log.info('goodbye');
    await log.flush(10_000);
    await eventually(() => assert.match(text, /goodbye/));
    assert.equal(reader.exitCode, null, 'it has seen no end');
  });

  it('counts no written line as lost if the rename fails', async () => {
    const file = path.join(folder, 'stuck.jsonl');
    await mkdir(path.join(`${file}.1`, 'in the way'), { recursive: true });
    const troubles: string[] = [];
    const log = open(file, { maxBytes: 1, onTrouble: (sentence) => troubles.push(sentence) });
    for (const msg of ['a', 'b', 'c']) {
      log.info(msg);
      await log.flush(10_000);
    }
    assert.deepEqual(await messagesOf(file), ['a', 'b', 'c']);
    const why = `${file}.1 is not a plain file`;
    assert.deepEqual(troubles, [`The log file ${file} is too large and cannot be rotated: ${why}`], 'once');
  });

  it('that cannot write loses lines and nothing else, and says how many once it can', async () => {
    const file = path.join(folder, 'failing', 'log.jsonl');
    await writeFile(path.dirname(file), 'a file where the folder should be');
    const troubles: string[] = [];
    const log = open(file, { onTrouble: (sentence) => troubles.push(sentence) });
    for (const msg of ['a', 'b', 'c']) {
      log.info(msg);
      await log.flush(10_000);
    }
    assert.equal(troubles.length, 1, 'once');
    assert.match(troubles[0] ?? '', /^The log file .+log\.jsonl cannot be written, and lines are lost until it can: E/);
    log.info('d');
    log.info('e');
    await log.flush(10_000);
    await rm(path.dirname(file));
    log.info('f');
    await log.flush(10_000);
    log.info('g');
    await log.flush(10_000);
    const entries = (await linesOf(file)).map((line) => JSON.parse(line));
    assert.deepEqual(
      entries.map(({ msg }) => msg),
      ['f', '5 log lines lost', 'g'],
    );
    const { ts, ...rest } = entries[1];
    assert.match(ts, /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual(rest, { level: 'warn', component: 'hypivisor', msg: '5 log lines lost' });
  });

  it('holds a mebibyte of lines at most, and counts those that find no room', async () => {
    const file = path.join(folder, 'bounded.jsonl');
    const log = open(file, { maxBytes: 10 * MIB, format: ({ msg }) => msg.padEnd(64 * 1024) });
    for (let i = 0; i < 20; i++) log.info(`${i}`);
    await log.flush(10_000);
    log.info('there is room again');
    await log.flush(10_000);
    const lines = (await linesOf(file)).map((line) => line.trimEnd());
    const kept = Array.from({ length: 16 }, (_, i) => `${i}`);
    assert.deepEqual(lines, [...kept, '4 log lines lost', 'there is room again']);
  });
});

describe('a disk that is full', { skip: process.platform !== 'linux' && 'needs prlimit' }, () => {
  /** A process whose files may not grow past a limit ends a write halfway, as a full disk does. */
  const PROGRAM = `
    import { once } from 'node:events';
    import { createLog } from ${JSON.stringify(import.meta.resolve('../../src/command/log.ts'))};
    import { descriptorSink, fileSink } from ${JSON.stringify(import.meta.resolve('../../src/command/log-sinks.ts'))};
    const [file, kind] = process.argv.slice(1);
    const format = ({ msg }) => msg;
    const say = (text) => process.send(text);
    const sink = kind === 'file' ? fileSink(file, format, 1e9, say) : descriptorSink('It', 2, format, say);
    const log = createLog([sink]);
    for (const lines of [['whole', 'x'.repeat(190), 'y'.repeat(190), 'z'], ['after']]) {
      say('ready');
      await once(process, 'message');
      for (const line of lines) {
        log.info(line);
        await log.flush(10_000);
      }
    }
    process.disconnect();`;

  for (const kind of ['file', 'descriptor']) {
    it(`cuts a line of a ${kind}, and no other is glued to it; what was lost is told and counted`, async (t) => {
      const file = path.join(folder, `full-${kind}`);
      // Room for two lines and a half.
      const before = '.'.repeat(1024 - 300);
      await writeFile(file, `${before}\n`);
      const handle = await fs.promises.open(file, 'a');
      t.after(() => handle.close());
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', PROGRAM, '--', file, kind],
        {
          stdio: ['ignore', 'inherit', kind === 'file' ? 'inherit' : handle.fd, 'ipc'],
        },
      );
      t.after(() => child.kill());
      const told: unknown[] = [];
      let limit = '1024';
      child.on('message', async (text) => {
        if (text !== 'ready') return told.push(text);
        await promisify(execFile)('prlimit', ['--pid', String(child.pid), `--fsize=${limit}:unlimited`]);
        limit = 'unlimited';
        child.send('go');
      });
      await once(child, 'exit');
      const cut = 'y'.repeat(1024 - before.length - 'whole'.length - 190 - 3);
      assert.deepEqual(await linesOf(file), [before, 'whole', 'x'.repeat(190), cut, 'after', '2 log lines lost']);
      assert.equal(told.length, 1, 'once');
      assert.match(String(told[0]), /cannot be written, and lines are lost until it can: EFBIG/);
    });
  }
});

describe('descriptorSink', () => {
  it('writes lines to the descriptor', async () => {
    const file = path.join(folder, 'descriptor.log');
    const handle = await fs.promises.open(file, 'w');
    const log = createLog([descriptorSink('it', handle.fd, formatText, noTrouble)]);
    log.info('first');
    log.warn('second', { id: 'a' });
    await log.flush(10_000);
    await handle.close();
    const [first, second] = await linesOf(file);
    assert.match(first as string, /^\d\d:\d\d:\d\d info {2}first$/);
    assert.match(second as string, /^\d\d:\d\d:\d\d warn {2}second {2}id=a$/);
  });

  it('that is closed loses lines and nothing else', async () => {
    const handle = await fs.promises.open(path.join(folder, 'closed.log'), 'w');
    const { fd } = handle;
    await handle.close();
    const troubles: string[] = [];
    const log = createLog([descriptorSink('It', fd, formatText, (sentence) => troubles.push(sentence))]);
    for (const msg of ['x', 'y']) {
      log.info(msg);
      await log.flush(10_000);
    }
    assert.equal(troubles.length, 1, 'once');
    assert.match(troubles[0] ?? '', /^It cannot be written, and lines are lost until it can: EBADF/);
  });

  it('that takes nothing for a while gets every line whole once it does', async () => {
    const server = net.createServer({ pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    const [[reader]] = (await Promise.all([accepted, once(socket, 'connect')])) as [[net.Socket], unknown];
    try {
      // A socket's descriptor is non-blocking, as Node makes a pipe.
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      const log = createLog([descriptorSink('it', fd, ({ msg }) => msg.padEnd(512 * 1024, '.'), noTrouble)]);
      const chunks: Buffer[] = [];
      for (let i = 0; i < 32; i++) {
        log.info(`${i}`);
        await log.flush(5);
      }
      reader.on('data', (chunk: Buffer) => chunks.push(chunk));
      reader.resume();
      await log.flush(10_000);
      log.info('end');
      await log.flush(10_000);
      socket.end();
      await once(reader, 'end');
      const lines = Buffer.concat(chunks).toString().split('\n');
      const told = lines.map((line) => line.replace(/\.+$/, ''));
      const lost = told.flatMap((line) => Number(/^(\d+) log lines lost$/.exec(line)?.[1] ?? 0));
      const kept = told.filter((line) => /^\d+$/.test(line));
      assert.equal(kept.length + lost.reduce((sum, count) => sum + count, 0), 32, 'each is kept or counted');
      assert.ok(lines.slice(0, kept.length).every((line) => line.length === 512 * 1024));
    } finally {
      socket.destroy();
      reader.destroy();
      server.close();
      await once(server, 'close');
    }
  });
});
