import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createLog,
  formatJson,
  formatText,
  type LogEntry,
  type LogFields,
  LogLevel,
  type LogSink,
} from '../../src/command/log.ts';

const MIB = 1024 * 1024;

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
    for (let i = 0; i < 120; i++) log.fault(`fault ${i}`, 'relay');
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
    log.fault('broken', 'relay', { id: 'a' });
    log.fault('broken', 'listen');
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
