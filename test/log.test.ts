import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  createLog,
  descriptorSink,
  fileSink,
  formatJson,
  formatText,
  type LogEntry,
  type LogFields,
  type LogFormat,
  LogLevel,
  type LogSink,
} from '../src/log.ts';

const MIB = 1024 * 1024;

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-log-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A sink that keeps entries, as long as it is told. */
class Memory implements LogSink {
  readonly entries: LogEntry[] = [];
  flushed: Promise<void> = Promise.resolve();
  write(entry: LogEntry): void {
    this.entries.push(entry);
  }
  flush(): Promise<void> {
    return this.flushed;
  }
}

/** What a sink is given for a message and fields. */
function entryOf(msg: string, fields: LogFields = {}): LogEntry {
  const sink = new Memory();
  createLog([sink]).info(msg, fields);
  return sink.entries[0] as LogEntry;
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  assert.ok(text.endsWith('\n'), 'the last line has its end');
  return text.slice(0, -1).split('\n');
}

const messagesOf = async (file: string) => (await linesOf(file)).map((line) => JSON.parse(line).msg);

describe('createLog', () => {
  it('writes a hundred lines of a kind in a second, counts what is more, and says how many with the next', async () => {
    const sink = new Memory();
    let ms = 0;
    const log = createLog([sink], () => ms);
    for (let i = 0; i < 250; i++) log.warn('request refused', { i });
    log.info('something else');
    assert.equal(sink.entries.length, 101);
    assert.equal(sink.entries.at(-1)?.msg, 'something else');
    ms = 1000;
    log.warn('request refused', { i: 250 });
    assert.equal(sink.entries.at(-1)?.suppressed, 150);
    log.warn('request refused', { i: 251 });
    assert.equal('suppressed' in (sink.entries.at(-1) as LogEntry), false);
    for (let i = 0; i < 120; i++) log.error(`fault ${i}`, 'relay');
    assert.equal(sink.entries.length, 203);
    await log.flush(10);
    const { msg, kind, suppressed } = sink.entries.at(-1) as LogEntry;
    assert.deepEqual({ msg, kind, suppressed }, { msg: 'lines suppressed', kind: 'relay', suppressed: 20 });
    await log.flush(10);
    assert.equal(sink.entries.length, 204, 'told once');
  });

  it('tells time, level, component and message first, then the fields', () => {
    const sink = new Memory();
    const log = createLog([sink]);
    const earliest = new Date().toISOString();
    log.info('started', { port: 31415, open: true, host: '::' });
    log.warn('careful');
    const [started, careful] = sink.entries;
    assert.deepEqual(Object.keys(started ?? {}), ['ts', 'level', 'component', 'msg', 'port', 'open', 'host']);
    const { ts, ...rest } = started as LogEntry;
    assert.ok(ts >= earliest && ts <= new Date().toISOString());
    assert.deepEqual(rest, {
      level: LogLevel.INFO,
      component: 'hypivisor',
      msg: 'started',
      port: 31415,
      open: true,
      host: '::',
    });
    assert.deepEqual([careful?.level, careful?.msg], ['warn', 'careful']);
  });

  it('marks errors for hardening, with the boundary they were caught at', () => {
    const sink = new Memory();
    const log = createLog([sink]);
    log.error('broken', 'relay', { id: 'a' });
    log.error('broken', 'listen');
    const { ts, ...rest } = sink.entries[0] as LogEntry;
    assert.deepEqual(rest, {
      level: 'error',
      component: 'hypivisor',
      msg: 'broken',
      id: 'a',
      needsHardening: true,
      boundary: 'relay',
    });
    assert.equal(sink.entries[1]?.boundary, 'listen');
  });

  it('tells every sink', () => {
    const sinks = [new Memory(), new Memory()];
    createLog(sinks).info('x');
    assert.deepEqual(sinks[0]?.entries, sinks[1]?.entries);
    createLog([]).info('nowhere');
  });

  describe('makes harmless what came from a peer', () => {
    const escapes: [text: string, escaped: string][] = [
      ['a\nb', 'a\\u000ab'],
      ['\r\n{"level":"error"}', '\\u000d\\u000a{"level":"error"}'],
      ['\x1b[2J', '\\u001b[2J'],
      ['\0\t\x7f', '\\u0000\\u0009\\u007f'],
      ['\x80\x9b\x9f', '\\u0080\\u009b\\u009f'],
      ['\u2028\u2029', '\\u2028\\u2029'],
      ['\u202a\u202e', '\\u202a\\u202e'],
      ['\u2066\u2069', '\\u2066\\u2069'],
      ['\u061c\u200e\u200f', '\\u061c\\u200e\\u200f'],
      ['é 😀 \u00a0 \u2027 \u202f "\\', 'é 😀 \u00a0 \u2027 \u202f "\\'],
    ];
    for (const [text, escaped] of escapes) {
      it(JSON.stringify(text), () => {
        const entry = entryOf(text, { id: text });
        assert.deepEqual([entry.msg, entry.id], [escaped, escaped]);
        for (const format of [formatJson, formatText])
          assert.equal(format(entry).split(/[\n\r\u2028\u2029]/).length, 1);
      });
    }

    it('up to 200 characters, its escapes counted', () => {
      const values: [text: string, value: string][] = [
        ['x'.repeat(200), 'x'.repeat(200)],
        ['x'.repeat(201), `${'x'.repeat(199)}…`],
        ['x'.repeat(10 * MIB), `${'x'.repeat(199)}…`],
        ['\n'.repeat(33), '\\u000a'.repeat(33)],
        ['\n'.repeat(34), `${'\\u000a'.repeat(33)}\\…`],
        [`${'x'.repeat(195)}\n`, `${'x'.repeat(195)}\\u00…`.slice(0, 199).concat('…')],
        ['', ''],
      ];
      for (const [text, value] of values) {
        const entry = entryOf(text, { id: text });
        assert.equal(entry.msg, value);
        assert.equal(entry.id, value);
        assert.ok(value.length <= 200);
      }
    });
  });

  describe('flush', () => {
    it('waits for every sink', async () => {
      const [fast, slow] = [new Memory(), new Memory()];
      let written = false;
      slow.flushed = new Promise<void>((resolve) => setTimeout(resolve, 20)).then(() => {
        written = true;
      });
      await createLog([fast, slow]).flush(10_000);
      assert.equal(written, true);
    });

    it('waits no longer than it is told', async () => {
      const stuck = new Memory();
      stuck.flushed = new Promise(() => {});
      await createLog([stuck]).flush(20);
    });
  });
});

describe('formatJson', () => {
  it('is one object a line', () => {
    const entry = entryOf('say "hi"', { n: 1, ok: false });
    assert.deepEqual(JSON.parse(formatJson(entry)), entry);
  });
});

describe('formatText', () => {
  const entry: LogEntry = { ts: '2026-02-22T12:34:56.789Z', level: 'info', component: 'hypivisor', msg: 'node joined' };
  const lines: [fields: LogFields, line: string][] = [
    [{}, '12:34:56 info  node joined'],
    [{ level: 'warn' }, '12:34:56 warn  node joined'],
    [{ level: 'error' }, '12:34:56 error node joined'],
    [{ id: 'a', port: 80, ok: true }, '12:34:56 info  node joined  id=a  port=80  ok=true'],
    // nothing a peer says looks like a field of its own
    [{ id: 'a  port=1' }, '12:34:56 info  node joined  id="a  port=1"'],
    [{ id: 'a=b' }, '12:34:56 info  node joined  id="a=b"'],
    [{ id: '"' }, '12:34:56 info  node joined  id="\\""'],
    [{ id: '' }, '12:34:56 info  node joined  id=""'],
  ];
  for (const [fields, line] of lines) {
    it(line, () => assert.equal(formatText({ ...entry, ...fields } as LogEntry), line));
  }
});

describe('fileSink', () => {
  const open = (file: string, maxBytes = MIB, format: LogFormat = formatJson) =>
    createLog([fileSink(file, format, maxBytes)]);

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

  it('makes the folder, and lets nobody else in', async () => {
    const parent = path.join(folder, 'not', 'yet');
    const log = open(path.join(parent, 'log.jsonl'));
    log.info('x');
    await log.flush(10_000);
    assert.equal((await stat(parent)).mode & 0o777, 0o700);
    assert.equal((await stat(path.join(parent, 'log.jsonl'))).mode & 0o777, 0o600);
  });

  it('writes on where it was renamed or removed', async () => {
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
    const log = open(file, 2 * lineBytes, format);
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

  it('counts no line as lost that was written where the rename fails', async () => {
    const file = path.join(folder, 'stuck.jsonl');
    await mkdir(path.join(`${file}.1`, 'in the way'), { recursive: true });
    const log = open(file, 1);
    for (const msg of ['a', 'b', 'c']) {
      log.info(msg);
      await log.flush(10_000);
    }
    assert.deepEqual(await messagesOf(file), ['a', 'b', 'c']);
  });

  it('that cannot write loses lines and nothing else, and says how many once it can', async () => {
    const file = path.join(folder, 'failing', 'log.jsonl');
    await writeFile(path.dirname(file), 'a file where the folder should be');
    const log = open(file);
    for (const msg of ['a', 'b', 'c']) {
      log.info(msg);
      await log.flush(10_000);
    }
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
    const log = open(file, 10 * MIB, ({ msg }) => msg.padEnd(64 * 1024));
    for (let i = 0; i < 20; i++) log.info(`${i}`);
    await log.flush(10_000);
    log.info('there is room again');
    await log.flush(10_000);
    const lines = (await linesOf(file)).map((line) => line.trimEnd());
    const kept = Array.from({ length: 16 }, (_, i) => `${i}`);
    assert.deepEqual(lines, [...kept, '4 log lines lost', 'there is room again']);
  });
});

describe('descriptorSink', () => {
  it('writes lines to the descriptor', async () => {
    const file = path.join(folder, 'descriptor.log');
    const handle = await fs.promises.open(file, 'w');
    const log = createLog([descriptorSink(handle.fd, formatText)]);
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
    const log = createLog([descriptorSink(fd, formatText)]);
    log.info('x');
    await log.flush(10_000);
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
      const log = createLog([descriptorSink(fd, ({ msg }) => msg.padEnd(512 * 1024, '.'))]);
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
