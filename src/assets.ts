/**
 * Reads the built dashboard into memory once, at the start. The build of the dashboard writes a manifest of all its
 * files.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Asset, Assets } from './http/static.ts';

const MANIFEST = 'manifest.json';

/** An entry of the manifest's `assets`. */
interface Entry extends Omit<Asset, 'bodies'> {
  /** The file for each content coding, relative to the manifest's folder. */
  readonly files: { readonly [coding in keyof Asset['bodies']]: string };
}

/**
 * @param directory the folder of the build
 * @returns an empty table if no dashboard was built
 * @throws {Error} if the manifest, or a file in it, cannot be read
 */
export async function loadAssets(directory: string): Promise<Assets> {
  let text: string;
  try {
    text = await readFile(path.join(directory, MANIFEST), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Assets();
    throw error;
  }
  const { assets } = JSON.parse(text) as { assets: Entry[] };
  return new Assets(await Promise.all(assets.map((entry) => load(directory, entry))));
}

async function load(directory: string, { files, ...about }: Entry): Promise<Asset> {
  const read = async ([coding, file]: [coding: string, file: string]) => {
    return [coding, await readFile(path.join(directory, file))] as const;
  };
  const bodies = Object.fromEntries(await Promise.all(Object.entries(files).map(read)));
  return { ...about, bodies: bodies as Asset['bodies'] };
}
