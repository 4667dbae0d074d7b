/** Installs the pis, and runs the tests with all of them: `npm run test:real`, or `PI=1.6 npm run test:real -- chat` for a part. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { installPis } from './install.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

async function run(command: string, args: string[], cwd: string): Promise<number> {
  const child = spawn(command, args, { cwd, stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

await installPis();

const wanted = process.argv.slice(2);
const files = (await readdir(folder))
  .filter((name) => name.endsWith('.real.ts') && (wanted.length === 0 || wanted.some((part) => name.startsWith(part))))
  .map((name) => `test/real/${name}`);
const options = ['--import', 'tsx', '--test', '--test-timeout=900000', '--test-concurrency=2', '--test-reporter=spec'];
process.exitCode = await run(process.execPath, [...options, ...files], root);
