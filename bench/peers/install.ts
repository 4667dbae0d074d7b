/** Installs the peers, unless they are there. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('.', import.meta.url);

/** If it fails, as without a network, the peers that are missing are left out of the run. */
export async function installPeers(): Promise<void> {
  const { dependencies } = JSON.parse(await readFile(new URL('package.json', FOLDER), 'utf8'));
  const installed = await Promise.all(Object.keys(dependencies).map(isInstalled));
  if (!installed.includes(false)) return;
  process.stderr.write('Installing the peers (npm ci in bench/peers)\n');
  const child = spawn('npm', ['ci', '--no-audit', '--no-fund', '--no-update-notifier', '--prefer-offline'], {
    cwd: fileURLToPath(FOLDER),
    stdio: ['ignore', 2, 2],
  });
  await once(child, 'exit').catch(() => {});
}

async function isInstalled(name: string): Promise<boolean> {
  return access(new URL(`node_modules/${name}/package.json`, FOLDER)).then(
    () => true,
    () => false,
  );
}
