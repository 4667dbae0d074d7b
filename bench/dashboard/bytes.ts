/** The bytes that are fetched: before the roster shows, and in all. */
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

interface Asset {
  path: string;
  files: { identity: string; gzip?: string };
}

const DIST = new URL('../../dist/dashboard/', import.meta.url);

/** Bytes of scripts and styles in gzip. */
export async function bytesOfDashboard(): Promise<{ eager: number; all: number }> {
  const { assets } = JSON.parse(await readFile(new URL('manifest.json', DIST), 'utf8')) as { assets: Asset[] };
  const page = await readFile(new URL('index.html', DIST), 'utf8');
  let eager = 0;
  let all = 0;
  for (const { path, files } of assets) {
    if (!/\.(?:js|css)$/.test(path)) continue;
    const { size } = await stat(fileURLToPath(new URL(files.gzip ?? files.identity, DIST)));
    all += size;
    if (page.includes(`"${path.slice(1)}"`)) eager += size;
  }
  return { eager, all };
}
