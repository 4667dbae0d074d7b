// Builds src/ into dist/, unless dist/ was built from the very same inputs.
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDashboard } from './dashboard.mjs';
import { root, run } from './run.mjs';

const at = (...path) => join(fileURLToPath(root), ...path);

/** The SHA-256 of everything that a build depends on: names too, so that a deleted file counts. */
async function digestInputs() {
  const entries = await readdir(at('src'), { recursive: true, withFileTypes: true });
  const sources = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(at(), join(entry.parentPath, entry.name)));
  const hash = createHash('sha256');
  const own = ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts/build.mjs', 'scripts/dashboard.mjs'];
  for (const name of [...own, ...sources.sort()]) {
    const contents = await readFile(at(name));
    hash.update(`${name}\0${contents.length}\0`).update(contents);
  }
  return hash.digest('hex');
}

/**
 * The extension in one file without dependencies: pi loads it at every start. What it was made of is of no use to anybody.
 *
 * @param folder where the compiler has put its modules
 */
async function bundleExtension(folder) {
  const { build } = await import('esbuild');
  const { version } = JSON.parse(await readFile(at('package.json'), 'utf8'));
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'extension.js')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.6',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: { HYPIVISOR_VERSION: JSON.stringify(version) },
    write: false,
    logLevel: 'warning',
  });
  await rm(folder, { recursive: true });
  await mkdir(folder);
  await writeFile(join(folder, 'pi-socket.js'), outputFiles[0].contents);
}

/** The command in one file: finding, reading and linking one for each module would be part of what its start costs. */
async function bundle(file) {
  const { build } = await import('esbuild');
  await build({
    entryPoints: [file],
    outfile: file,
    allowOverwrite: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.12',
    logLevel: 'warning',
  });
}

const inputs = await digestInputs();
const builtFrom = await readFile(at('dist', '.inputs'), 'utf8').catch(() => '');
if (builtFrom !== inputs) {
  await import('./install.mjs');
  // Beside dist/ first: a build that fails or is interrupted never leaves a half-new dist/ behind.
  await rm(at('dist.new'), { recursive: true, force: true });
  await run(process.execPath, [at('node_modules/typescript/bin/tsc'), '--noEmitOnError', '--outDir', 'dist.new']);
  await bundle(at('dist.new', 'main.js'));
  await chmod(at('dist.new', 'hypivisor.js'), 0o755);
  await bundleExtension(at('dist.new', 'agent'));
  await buildDashboard(at('src', 'dashboard'), at('dist.new', 'dashboard'));
  await writeFile(at('dist.new', '.inputs'), inputs);
  await rm(at('dist'), { recursive: true, force: true });
  await rename(at('dist.new'), at('dist'));
}
