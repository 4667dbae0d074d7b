/** npm run soak, for a few seconds: what it finds has to be right, and nothing may be left. No figure of speed is asked. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { failures, type Soak, toText } from './summary.ts';

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));

/** What a process holds is read from /proc. */
const skip = process.platform === 'linux' ? false : 'the soak needs Linux';

class Run {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';

  /** @param folder for all that is temporary */
  constructor(folder: string, ...args: string[]) {
    const { PATH, NODE_V8_COVERAGE } = process.env;
    this.process = spawn(process.execPath, ['--import', 'tsx', PROGRAM, ...args], {
      env: { PATH, NODE_V8_COVERAGE, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.process.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
  }

  async exitCode(): Promise<number | null> {
    const [code] = await once(this.process, 'close');
    return code;
  }
}

describe('npm run soak', { skip }, () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('loses nothing, leaves nothing, and tells it in words, figures and a picture', async () => {
    const out = join(folder, 'out');
    const run = new Run(folder, '--minutes', '0.08', '--events', '500', '--out', out);
    assert.equal(await run.exitCode(), 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^Faults +none$/m);
    assert.match(run.stdout, /^In the end +508 nodes; (\d+) of \1 dashboards agree with list_nodes$/m);

    const soak = JSON.parse(await readFile(join(out, 'soak.json'), 'utf8'));
    assert.deepEqual(soak.outcome.seen, soak.outcome.caused);
    assert.ok(soak.outcome.caused.node_removed > 0 && soak.outcome.relays > 0 && soak.outcome.messages > 0);
    assert.equal(soak.after.descriptors, soak.before.descriptors);
    for (const sample of soak.samples) assert.equal(sample.length, soak.columns.length);

    const svg = await readFile(join(out, 'soak.svg'), 'utf8');
    assert.match(svg, /^<svg [^>]*viewBox="0 0 \d+ \d+"[\s\S]*<\/svg>\n$/);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
    assert.deepEqual(await readdir(folder).then((names) => names.filter((name) => name.startsWith('hypivisor'))), []);
  });

  it('ends early at Ctrl-C, with the summary so far', async () => {
    const run = new Run(folder, '--minutes', '5', '--events', '200');
    const exitCode = run.exitCode();
    run.process.stderr?.once('data', () => run.process.kill('SIGINT'));
    assert.equal(await exitCode, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^Faults +none$/m);
  });

  it('takes no flag for another', async () => {
    const run = new Run(folder, '--minutes', '-1');
    assert.equal(await run.exitCode(), 2);
    assert.match(run.stderr, /--minutes/);
  });
});

describe('the summary of a soak', () => {
  const footprint = { residentBytes: 2 ** 20, descriptors: 20, cpuSeconds: 0 };
  const latency = { p50: 1, p99: 2 };
  const good: Soak = {
    seconds: 1200,
    samples: Array.from({ length: 1200 }, (_, second) => ({
      second,
      residentMiB: second < 600 ? 50 + second : 100 + second / 300,
      descriptors: 600,
      cpuPercent: 10,
      eventsPerSecond: 2000,
      dashboards: 10,
      relays: 5,
      eventP50: 1,
      eventP99: 2,
      roundTripP50: null,
      roundTripP99: null,
    })),
    before: footprint,
    after: footprint,
    outcome: {
      kind: 'outcome',
      caused: { node_joined: 3, node_offline: 2, node_removed: 1 },
      seen: { node_joined: 3, node_offline: 2, node_removed: 1 },
      watcherResyncs: 0,
      nodes: 1,
      dashboards: 2,
      disagreeing: 0,
      visits: 0,
      resyncs: 0,
      turnedOut: 0,
      relays: 0,
      messages: 0,
      events: latency,
      roundTrips: latency,
      faults: { count: 0, words: [] },
    },
    daemonExitCode: 0,
  };
  const { outcome } = good;
  assert.ok(outcome);

  it('tells the slope of the second half alone', () => assert.match(toText(good), /^RSS, slope +2\.00 MiB/m));

  it('finds fault with whatever is lost, left over or wrong', () => {
    assert.deepEqual(failures(good), []);
    const bad: [Partial<Soak>, RegExp][] = [
      [{ daemonExitCode: 'SIGKILL' }, /ended with SIGKILL/],
      [{ after: { ...footprint, descriptors: 21 } }, /1 descriptors more/],
      [{ outcome: null }, /did not finish/],
      [{ outcome: { ...outcome, watcherResyncs: 1 } }, /missed events/],
      [{ outcome: { ...outcome, disagreeing: 1 } }, /another roster/],
      [{ outcome: { ...outcome, seen: { ...outcome.seen, node_offline: 1 } } }, /1 of 2 node_offline/],
      [{ outcome: { ...outcome, faults: { count: 3, words: ['why'] } } }, /3 faults: why/],
    ];
    for (const [change, sentence] of bad) assert.match(failures({ ...good, ...change }).join('\n'), sentence);
  });
});
