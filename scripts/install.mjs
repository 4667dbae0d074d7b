// Installs the development tools, unless every package that package-lock.json names is there in its version.
// The daemon itself has no dependencies; these build and test it, so `NODE_ENV=production` doesn't leave them out.
import { readFile } from 'node:fs/promises';
import { root, run } from './run.mjs';

const readJson = async (path) => JSON.parse(await readFile(new URL(path, root), 'utf8'));

async function isInstalled([path, { version, optional }]) {
  // Optional packages are builds for other platforms.
  if (path === '' || optional) return true;
  try {
    return (await readJson(`${path}/package.json`)).version === version;
  } catch {
    return false;
  }
}

const { packages } = await readJson('package-lock.json');
if (!(await Promise.all(Object.entries(packages).map(isInstalled))).every(Boolean)) {
  process.stderr.write('Installing the development tools (npm ci)\n');
  const shell = process.platform === 'win32'; // npm is npm.cmd there
  // Without install scripts: none is needed, and our own `prepare` would start all over.
  const flags = [
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
  ];
  // Run by an outer npm, this one inherits its flags: those of `npm install --global` and `npm pack --dry-run`, say.
  const ours = ['--no-global', '--location=project', '--no-dry-run', '--no-package-lock-only', '--package-lock'];
  await run('npm', ['ci', ...flags, ...ours], { shell });
}
