// Installs the development tools, unless every package that package-lock.json names is there in its version.
// The daemon itself has no dependencies; these build and test it, so `NODE_ENV=production` doesn't leave them out.
import './check-node.mjs';
import { readFile } from 'node:fs/promises';
import { root, run } from './run.mjs';

const readJson = async (path) => JSON.parse(await readFile(new URL(path, root), 'utf8'));

/** Does this machine need the package? An optional one is the native build of a tool; only that for this machine is needed. */
const isNeeded = ({ optional, os, cpu, libc }) =>
  !optional || (!libc && os?.includes(process.platform) && cpu?.includes(process.arch));

async function isInstalled([path, { version }]) {
  try {
    return (await readJson(`${path}/package.json`)).version === version;
  } catch {
    return false;
  }
}

const { packages } = await readJson('package-lock.json');
const needed = Object.entries(packages).filter(([path, entry]) => path !== '' && isNeeded(entry));
const installed = await Promise.all(needed.map(isInstalled));
if (installed.includes(false)) {
  process.stderr.write('Installing the development tools (npm ci)\n');
  // Without install scripts: none is needed, and our own `prepare` would start all over.
  const flags = ['--ignore-scripts', '--include=dev', '--include=optional', '--prefer-offline'];
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier'];
  // Under an outer npm, this one inherits its flags: those of `npm install --global` and `npm pack --dry-run`, say.
  const own = ['--no-global', '--location=project', '--no-dry-run', '--no-package-lock-only', '--package-lock'];
  // On Windows npm is npm.cmd, which takes a shell.
  await run('npm', ['ci', ...flags, ...quiet, ...own], { shell: process.platform === 'win32' });
}
