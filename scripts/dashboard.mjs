// Builds src/dashboard/ into files that the daemon serves as they are: bundled, named by their contents, compressed.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** Browsers with the features that code and styles rely on: dialogs, `light-dark()`, `:has()`, nesting. */
const TARGET = ['chrome123', 'firefox121', 'safari17.5'];

const TYPES = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  webmanifest: 'application/manifest+json',
  svg: 'image/svg+xml',
  png: 'image/png',
};

const digest = (contents) => createHash('sha256').update(contents).digest('base64url').slice(0, 12);

/**
 * @param from the folder of the sources
 * @param to the folder to fill: `manifest.json` lists every asset with its path in URLs, its type and its files
 */
export async function buildDashboard(from, to) {
  const { build } = await import('esbuild');
  const options = {
    bundle: true,
    minify: true,
    write: false,
    target: TARGET,
    logLevel: 'warning',
    legalComments: 'none',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    outdir: to,
  };
  const app = await build({
    ...options,
    entryPoints: { app: join(from, 'main.tsx'), style: join(from, 'styles', 'main.css') },
    format: 'esm',
    splitting: true,
    metafile: true,
    entryNames: 'assets/[name]-[hash]',
    chunkNames: 'assets/[name]-[hash]',
  });
  const worker = await build({ ...options, entryPoints: { sw: join(from, 'sw.ts') }, format: 'iife' });

  /** Path in URLs → contents. A file with a hash in its name never changes under that name. */
  const assets = new Map(
    app.outputFiles.map(({ path, contents }) => [`/assets/${basename(path)}`, { contents, immutable: true }]),
  );
  assets.set('/sw.js', { contents: worker.outputFiles[0].contents, immutable: false });
  for (const name of ['app.webmanifest', 'icon.svg', 'icon-maskable.svg', 'icon-180.png', 'icon-512.png']) {
    assets.set(`/${name}`, { contents: await readFile(join(from, name)), immutable: false });
  }

  const named = (start, end) =>
    [...assets.keys()].find((path) => path.startsWith(start) && path.endsWith(end)).slice(1);
  const script = named('/assets/app-', '.js');
  const style = named('/assets/style-', '.css');
  // The code that both the page and its later parts need: fetched together with the page's own.
  const [, entry] = Object.entries(app.metafile.outputs).find(([path]) => path.endsWith(script));
  const preloads = entry.imports
    .filter(({ kind }) => kind === 'import-statement')
    .map(({ path }) => `<link rel="modulepreload" href="assets/${basename(path)}">`);
  const page = (await readFile(join(from, 'index.html'), 'utf8'))
    .replace('<!-- style -->', `<link rel="stylesheet" href="${style}">`)
    .replace('<!-- script -->', [`<script type="module" src="${script}"></script>`, ...preloads].join('\n    '))
    .replace('BUILD', digest([...assets].map(([path, { contents }]) => `${path} ${digest(contents)}`).join('\n')));
  assets.set('/', { contents: Buffer.from(page), immutable: false, file: 'index.html' });

  const listed = await Promise.all([...assets].map(([path, asset]) => writeAsset(to, path, asset)));
  await writeFile(join(to, 'manifest.json'), `${JSON.stringify({ assets: listed }, null, 2)}\n`);
}

/** Writes an asset as it is, and compressed if that makes it smaller. @returns its entry in the manifest */
async function writeAsset(to, path, { contents, immutable, file = path.slice(1) }) {
  const encoded = {
    br: await promisify(brotliCompress)(contents, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
    gzip: await promisify(gzip)(contents, { level: 9 }),
  };
  const files = { identity: file };
  await mkdir(dirname(join(to, file)), { recursive: true });
  await writeFile(join(to, file), contents);
  for (const [coding, bytes] of Object.entries(encoded)) {
    if (bytes.length >= contents.length) continue;
    files[coding] = `${file}.${coding === 'gzip' ? 'gz' : coding}`;
    await writeFile(join(to, files[coding]), bytes);
  }
  const type = TYPES[file.slice(file.lastIndexOf('.') + 1)];
  return { path, type, immutable, etag: `"${digest(contents)}"`, files };
}
