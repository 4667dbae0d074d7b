import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { maxConnectionsOfProcess } from '../../src/transport/descriptors.ts';

const MODULE = fileURLToPath(new URL('../../src/transport/descriptors.ts', import.meta.url));

test('is a number of connections that leaves some descriptors', async () => {
  const max = await maxConnectionsOfProcess();
  assert.ok(Number.isInteger(max) && max >= 1, `${max}`);
});

for (const limit of [256, 128]) {
  test(`a limit of ${limit} descriptors leaves room for less than that, by a reserve and what is open`, async (t) => {
    if (process.platform !== 'linux') return t.skip('the limit is read from /proc');
    const script = `import('node:fs').then((fs) => import(${JSON.stringify(MODULE)}).then(async (m) => {
      console.log(JSON.stringify([await m.maxConnectionsOfProcess(), fs.readdirSync('/proc/self/fd').length]));
    }))`;
    const command = `ulimit -Sn ${limit} && ulimit -Hn ${limit} && exec "$0" --import tsx -e "$1"`;
    const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script]);
    const [max, open] = JSON.parse(stdout) as [number, number];
    // What is open may change by a descriptor or two between the two looks.
    assert.ok(Math.abs(max - (limit - open - 32)) <= 4, `${max} connections beside ${open} open descriptors`);
  });
}

test('however low the limit, one connection has room', async (t) => {
  if (process.platform !== 'linux') return t.skip('the limit is read from /proc');
  const script = `import(${JSON.stringify(MODULE)}).then((m) => m.maxConnectionsOfProcess()).then(console.log)`;
  const command = 'ulimit -Sn 40 && exec "$0" --import tsx -e "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script]);
  assert.ok(Number(stdout) >= 1);
});
