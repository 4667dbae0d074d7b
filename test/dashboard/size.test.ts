/** What a browser must fetch, as it was built. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { bytesOfDashboard } from '../../bench/dashboard/bytes.ts';

const MOST_EAGER = 60_000;
const readText = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the size of the dashboard', () => {
  it('is at most 60 KB of scripts and styles in gzip before the roster shows', async () => {
    const { eager } = await bytesOfDashboard();
    assert.ok(eager > 10_000 && eager <= MOST_EAGER, `${eager} bytes`);
  });

  it('is as README.md and docs/dashboard.md say', async () => {
    const { eager, all } = await bytesOfDashboard();
    for (const path of ['README.md', 'docs/dashboard.md']) {
      const [, told, toldAll] =
        /(\d+) KB of JavaScript\s+and\s+CSS\s.+?\s(\d+) KB in all/s.exec(await readText(path)) ?? [];
      // Two compilers of gzip may differ by a little.
      assert.ok(Math.abs(Number(told) - eager / 1000) <= 1, `${path}: ${told} KB, but it is ${eager} bytes`);
      assert.ok(Math.abs(Number(toldAll) - all / 1000) <= 2, `${path}: ${toldAll} KB in all, but it is ${all} bytes`);
    }
  });
});
