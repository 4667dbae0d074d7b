import dns from 'node:dns/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

/** Puts a look-up of the test's own in the place of the system's. */
export function mockLookup(t: TestContext, look: (name: string) => Promise<{ address: string; family: number }[]>) {
  const mocked = t.mock.method(dns, 'lookup', look as unknown as typeof dns.lookup);
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  return mocked.mock;
}
