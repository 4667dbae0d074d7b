/**
 * A home folder for one test, and what stands outside it:
 *
 *   <base>/home/          the jail
 *   <base>/home-sibling/  shares the prefix, is outside
 *   <base>/outside/secret/
 *
 * All of it is gone when the test ends.
 */

import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface TestHome {
  readonly base: string;
  readonly home: string;
  readonly outside: string;
}

/** @param cleanUp what else must happen before the folder is removed. */
export async function makeHome(t: TestContext, cleanUp?: () => Promise<void>): Promise<TestHome> {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-test-')));
  t.after(async () => {
    await cleanUp?.();
    await rm(base, { recursive: true, force: true });
  });
  const home = join(base, 'home');
  const outside = join(base, 'outside');
  await mkdir(home);
  await mkdir(`${home}-sibling`);
  await mkdir(join(outside, 'secret'), { recursive: true });
  return { base, home, outside };
}

/** How many descriptors this process holds open on something in `folder`. */
export async function descriptorsIn(folder: string): Promise<number> {
  const targets = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => realpath(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith(folder)).length;
}
