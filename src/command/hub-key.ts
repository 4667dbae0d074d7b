/**
 * The key of this hub, in a file: a secret by which the hubs that it joins know it again after a restart. It is made when
 * it is first needed, and nobody else may read it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const KEY = /^[0-9a-f]{32}$/;

/** One for each port: two daemons of one person are two hubs. */
export function hubKeyFile(home: string, port: number): string {
  return path.join(home, '.pi', 'hypivisor', `hub-${port}.key`);
}

/** @throws Error, with a sentence, if the file cannot be read or made, or holds something else */
export async function readHubKey(file: string): Promise<string> {
  try {
    return (await readExisting(file)) ?? (await make(file));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`${file} ${code === undefined ? message : `cannot be used (${code})`}`);
  }
}

async function readExisting(file: string): Promise<string | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const key = text.trim();
  if (!KEY.test(key)) throw new Error('holds no key of a hub: remove it, and a new one is made');
  return key;
}

async function make(file: string): Promise<string> {
  const key = randomBytes(16).toString('hex');
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
  return key;
}
