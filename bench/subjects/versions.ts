/** Which version of each subject is here. */
import { readFile } from 'node:fs/promises';

/** The version of a package among the peers. @returns null if it is not installed */
export async function peerVersion(name: string): Promise<string | null> {
  return versionIn(new URL(`../peers/node_modules/${name}/package.json`, import.meta.url));
}

export async function ownVersion(): Promise<string | null> {
  return versionIn(new URL('../../package.json', import.meta.url));
}

async function versionIn(url: URL): Promise<string | null> {
  try {
    return JSON.parse(await readFile(url, 'utf8')).version;
  } catch {
    return null;
  }
}
