// Builds src/ into dist/, unless dist/ was built from the very same inputs.
import './check-node.mjs';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, run } from './run.mjs';

const at = (...path) => join(fileURLToPath(root), ...path);

/** The files that a build depends on, beside src/. */
const OWN = ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts/compile.mjs', 'scripts/dashboard.mjs'];

/** The SHA-256 of everything that a build depends on: names too, so that a deleted file counts. */
async function digestInputs() {
  const entries = await readdir(at('src'), { recursive: true, withFileTypes: true });
  const sources = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(at(), join(entry.parentPath, entry.name)));
  const hash = createHash('sha256');
  for (const name of [...OWN, ...sources.sort()]) {
    const contents = await readFile(at(name));
    hash.update(`${name}\0${contents.length}\0`).update(contents);
  }
  return hash.digest('hex');
}

const inputs = await digestInputs();
const builtFrom = await readFile(at('dist', '.inputs'), 'utf8').catch(() => '');
if (builtFrom !== inputs) {
  await import('./install.mjs');
  // In a process of its own: `npm start` becomes the daemon, and must not keep the compilers and their helpers.
  await run(process.execPath, [at('scripts/compile.mjs'), inputs]);
}
