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

for (const [limit, expected] of [
  [256, 224],
  [64, 32],
] as const) {
  test(`a limit of ${limit} descriptors leaves room for ${expected} connections`, async (t) => {
    if (process.platform !== 'linux') return t.skip('the limit is read from /proc');
    const script = `import(${JSON.stringify(MODULE)}).then((m) => m.maxConnectionsOfProcess()).then(console.log)`;
    const command = `ulimit -Sn ${limit} && ulimit -Hn ${limit} && exec "$0" --import tsx -e '${script}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath]);
    assert.equal(Number(stdout), expected);
  });
}
