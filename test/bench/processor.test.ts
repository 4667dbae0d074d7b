import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { afterEach, it } from 'node:test';
import { Load } from '../../bench/load/process.ts';
import { stopProcesses } from '../../bench/processes.ts';
import { outpace, shareProcessor } from '../../bench/processor.ts';
import { startHypivisor } from '../../bench/subjects/hypivisor.ts';

afterEach(stopProcesses);

it('all share one processor, and the server is the last to get it', async () => {
  const [server, load] = [await startHypivisor(), new Load()];
  const pids = await server.pids();
  const before = os.getPriority(load.pid);
  await outpace(pids, [load.pid]);
  const processors = await Promise.all([...pids, load.pid].map(processorsOf));
  assert.match(processors[0] as string, /^\d+$/);
  assert.deepEqual(new Set(processors).size, 1);
  for (const pid of pids) assert.equal(os.getPriority(pid), os.constants.priority.PRIORITY_LOW);
  assert.equal(os.getPriority(load.pid), before);
});

it('all share one processor, none before the others', async () => {
  const [server, load] = [await startHypivisor(), new Load()];
  const pids = [...(await server.pids()), load.pid];
  const before = pids.map((pid) => os.getPriority(pid));
  await shareProcessor(pids);
  const processors = await Promise.all(pids.map(processorsOf));
  assert.match(processors[0] as string, /^\d+$/);
  assert.deepEqual(new Set(processors).size, 1);
  assert.deepEqual(
    pids.map((pid) => os.getPriority(pid)),
    before,
  );
});

async function processorsOf(pid: number): Promise<string> {
  return /^Cpus_allowed_list:\s*(.*)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] as string;
}
