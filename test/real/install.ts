/** Installs the pis that are tested, unless they are. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** npm writes what it has installed into a lock file of its own. */
async function isInstalled(): Promise<boolean> {
  try {
    const [wanted, found] = await Promise.all(
      ['package-lock.json', 'node_modules/.package-lock.json'].map(async (path) => {
        const { packages } = JSON.parse(await readFile(at(path), 'utf8')) as {
          packages: Record<string, { version: string }>;
        };
        return packages;
      }),
    );
    return ['pi-0.73', 'pi-0.87', 'pi-1.6', 'node'].every((name) => {
      const path = `node_modules/${name}`;
      return wanted?.[path]?.version === found?.[path]?.version;
    });
  } catch {
    return false;
  }
}

/** @throws Error if npm fails; it has said why */
export async function installPis(): Promise<void> {
  if (await isInstalled()) return;
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const child = spawn(npm, args, { cwd: at('.'), stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`npm ci ended with ${code}`);
}
