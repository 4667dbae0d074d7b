// Compiles src/ into dist/. `build.mjs` runs it if it has to be done; its argument is the digest of the inputs.
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildDashboard } from './dashboard.mjs';
import { root, run } from './run.mjs';

const at = (...path) => join(fileURLToPath(root), ...path);
const [inputs] = process.argv.slice(2);

// Beside dist/ first: a build that fails or is interrupted never leaves a half-new dist/ behind.
const target = at('dist.new');
await rm(target, { recursive: true, force: true });
await run(process.execPath, [at('node_modules/typescript/bin/tsc'), '--noEmitOnError', '--outDir', target]);
await bundle(join(target, 'main.js'));
await chmod(join(target, 'hypivisor.js'), 0o755);
await bundleExtension(join(target, 'agent'));
await buildDashboard(at('src', 'dashboard'), join(target, 'dashboard'));
await writeFile(join(target, '.inputs'), inputs);
await rm(at('dist'), { recursive: true, force: true });
await rename(target, at('dist'));

/** Bundles the command into one file: finding, reading and linking a file for each module would slow its start down. */
async function bundle(file) {
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

/**
 * Bundles the extension into one file without dependencies, since pi loads it at every start, and removes its modules.
 *
 * @param folder where the compiler has put its modules
 */
async function bundleExtension(folder) {
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
