import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentLog } from '../../src/agent/log.ts';

describe('AgentLog', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-log-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const lines = async (file: string, count: number) => {
    for (;;) {
      const text = await readFile(file, 'utf8').catch(() => '');
      const all = text.split('\n').filter(Boolean);
      if (all.length >= count) return all.map((line) => JSON.parse(line) as Record<string, unknown>);
      await sleep(10);
    }
  };

  it('appends one JSON object a line, and makes its folder', async () => {
    const file = path.join(folder, 'a', 'b', 'log.jsonl');
    const log = new AgentLog(file, () => new Date(0));
    log.info('hello', { port: 8080 });
    log.warn('line\nbreak');
    log.fault(new Error('x'), 'timer');
    log.fault('y', 'timer');
    const [first, second, third, fourth] = await lines(file, 4);
    const common = { ts: '1970-01-01T00:00:00.000Z', component: 'pi-socket', pid: process.pid };
    assert.deepEqual(first, { ...common, level: 'info', msg: 'hello', port: 8080 });
    assert.deepEqual(second, { ...common, level: 'warn', msg: 'line\nbreak' });
    const { stack, ...rest } = third as { stack: string };
    assert.deepEqual(rest, { ...common, level: 'error', msg: 'x', needsHardening: true, boundary: 'timer' });
    assert.match(stack, /log\.test\.ts/);
    assert.equal(fourth?.msg, 'y');
  });

  it('never throws, and never grows while the disk does not take it', async () => {
    const file = path.join(folder, 'log.jsonl');
    await mkdir(file);
    const log = new AgentLog(file);
    for (let i = 0; i < 10_000; i++) log.info(`${i}`);
    await sleep(100);
    await rm(file, { recursive: true });
    log.info('again');
    assert.equal((await lines(file, 1)).at(-1)?.msg, 'again');
  });

  it('writes no long value, and no more than it can keep waiting', async () => {
    const file = path.join(folder, 'log.jsonl');
    const log = new AgentLog(file);
    for (let i = 0; i < 1000; i++) log.info('x'.repeat(10_000));
    const written = await lines(file, 200);
    assert.ok(written.length <= 201);
    assert.equal(String(written[0]?.msg).length, 500);
  });
});
