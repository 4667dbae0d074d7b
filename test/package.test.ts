/**
 * What is shipped: a package with no dependencies and no install scripts, whose built files reach for nothing but Node's
 * documented modules and each other.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const readText = (path: string) => readFile(join(root, path), 'utf8');
const readJson = async (path: string) => JSON.parse(await readText(path));

const manifest = await readJson('package.json');

describe('package.json', () => {
  it('names no dependency but development tools', () => {
    const kinds = Object.keys(manifest).filter((key) => /dependencies/i.test(key));
    assert.deepEqual(kinds.sort(), ['devDependencies', 'peerDependencies', 'peerDependenciesMeta']);
  });

  it('runs inside pi, and brings none along', async () => {
    const pis = Object.keys(manifest.peerDependencies);
    assert.deepEqual(pis, ['@earendil-works/pi-coding-agent', '@mariozechner/pi-coding-agent']);
    for (const pi of pis) assert.equal(manifest.peerDependenciesMeta[pi].optional, true);
    assert.ok(manifest.keywords.includes('pi-package'));
    for (const extension of manifest.pi.extensions) assert.match(await readText(extension), /hypivisor/);
  });

  it('runs nothing where the package is installed', () => {
    for (const script of ['preinstall', 'install', 'postinstall']) {
      assert.equal(manifest.scripts[script], undefined, script);
    }
  });

  it('is an ES module package under the MIT licence for Node 20.12 and later', async () => {
    assert.equal(manifest.type, 'module');
    assert.equal(manifest.engines.node, '>=20.12');
    assert.equal(manifest.license, 'MIT');
    assert.match(await readText('LICENSE'), /^MIT License/);
  });

  it('points to a program that can be executed, and to an export with its types', async () => {
    const program = manifest.bin.hypivisor;
    await access(join(root, program), constants.X_OK);
    assert.match(await readText(program), /^#!\/usr\/bin\/env node\n/);
    for (const path of Object.values<string>(manifest.exports['.'])) await access(join(root, path));
  });

  it('runs every test file: none lies deeper than the patterns of npm test reach', async () => {
    const files = await readdir(join(root, 'test'), { recursive: true });
    const own = files.filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules'));
    const deeper = own.filter((path) => path.split(/[\\/]/).length > 2);
    assert.ok(manifest.scripts.test.endsWith(' test/*.test.ts test/*/*.test.ts'));
    assert.deepEqual(deeper, []);
  });
});

describe('package-lock.json', () => {
  it('holds checksums and no download addresses', async () => {
    const { packages } = await readJson('package-lock.json');
    for (const [path, entry] of Object.entries<{ resolved?: string; integrity?: string }>(packages)) {
      assert.equal(entry.resolved, undefined, path);
      if (path !== '') assert.match(entry.integrity ?? '', /^sha512-/, path);
    }
  });
});

/** Comments may speak of what code may not do. */
const withoutComments = (text: string) => text.replace(/^[ \t]*\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/ .*$/gm, '');

/** `import … from 'x'`, `export … from 'x'` and `import 'x'`, as tsc prints them: at the start of a line. */
const STATIC_IMPORT =
  /^(?:import|export)\b(?:[^'"`;]*\bfrom)?\s*'(.+?)'|^(?:import|export)\b(?:[^'"`;]*\bfrom)?\s*"(.+?)"/gm;
/** `import(x)` and `require(x)`: what is not one literal stays as it stands, and matches nothing that is allowed. */
const DYNAMIC_IMPORT = /\b(?:import|require)\s*\(\s*(?:'([^']*)'|"([^"]*)"|([^)]*))\s*\)/g;

function modulesNamedIn(code: string): string[] {
  const matches = [...code.matchAll(STATIC_IMPORT), ...code.matchAll(DYNAMIC_IMPORT)];
  return matches.map(([, ...groups]) => groups.find((group) => group !== undefined) ?? '');
}

describe('the built files', () => {
  /** What browsers are given: not Node's code, and tested in a browser. */
  const assets: string[] = [];
  /** Path under the root, with slashes, and code. */
  const builtFiles = new Map<string, string>();
  /** The command with its comments. */
  let command: string;

  before(async () => {
    for (const entry of await readdir(join(root, 'dist'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name === '.inputs') continue;
      const path = join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/');
      if (path.startsWith('dist/dashboard/')) {
        assets.push(path);
        continue;
      }
      builtFiles.set(path, withoutComments(await readText(path)));
    }
    assert.ok(builtFiles.has('dist/server.js') && builtFiles.has('dist/frame/parser.js'));
    command = await readText('dist/main.js');
  });

  it("import nothing but Node's modules and each other", () => {
    for (const [path, code] of builtFiles) {
      for (const specifier of modulesNamedIn(code)) {
        if (specifier.startsWith('node:')) {
          assert.ok(isBuiltin(specifier), `${path}: ${specifier}`);
        } else {
          assert.match(specifier, /^\.\.?\//, `${path}: ${specifier}`);
          // Declarations name their neighbours as the sources did: TypeScript finds x.d.ts where x.ts is named.
          const neighbour = posix.join(posix.dirname(path), specifier.replace(/\.ts$/, '.d.ts'));
          assert.ok(neighbour === 'package.json' || builtFiles.has(neighbour), `${path}: ${specifier}`);
        }
      }
    }
  });

  it('have a command in ASCII: V8 keeps a source with any other character at two bytes a character', () => {
    // Comments stay in dist/main.js if esbuild keeps what they belong to.
    assert.match(command, /^[\t\n\x20-\x7e]*$/);
  });

  it('are neither synchronous nor threaded', () => {
    for (const [path, code] of builtFiles) {
      assert.doesNotMatch(code, /\b[a-z]\w*Sync\b|\bworker_threads\b|\bAtomics\.wait\b/, path);
    }
  });

  it("use Node's documented interface alone, but for a socket's handle in two places", () => {
    // How much of a write is still queued has no public name. Without it, a write counts as progress only once all of it is
    // taken: see Connection. Nor has the way to read an accepted socket into a buffer: see `readAsDialled`.
    const queued = /\._handle\?\.writeQueueSize ?\?\? ?0/;
    const adopted = /handle ?= ?\w+\._handle;[^}]*?\w+\._handle ?= ?null/;
    for (const [path, code] of builtFiles) {
      const rest = [queued, adopted].reduce((left, allowed) => {
        const uses = left.split(allowed);
        assert.ok(uses.length <= 2, `${path} has it in one place`);
        return uses.join('');
      }, code);
      assert.doesNotMatch(rest, /\bprocess\.(?:binding|dlopen)\b|\bgetBuiltinModule\b|\._\w|\['_\w/, path);
    }
  });

  it('are packed with what is to be read, and nothing else is', async (t) => {
    const cache = await mkdtemp(join(tmpdir(), 'hypivisor-pack-'));
    t.after(() => rm(cache, { recursive: true }));
    // Without scripts: `prepare` has run, and must not build anew under the tests that are running now.
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--cache', cache];
    const { stdout } = await promisify(execFile)('npm', args, { cwd: root, shell: process.platform === 'win32' });
    const packed: Iterable<{ path: string }> = JSON.parse(stdout)[0].files;
    const paths = Array.from(packed, ({ path }) => path);
    const documents = ['package.json', 'LICENSE', 'README.md', ...manifest.files];
    assert.deepEqual(
      paths
        .filter((path) => !documents.includes(path) && !/^(?:docs|bench\/results)\/[\w-]+\.(?:md|svg)$/.test(path))
        .sort(),
      [...[...builtFiles.keys()].filter((path) => /\.(?:js|d\.ts)$/.test(path)), ...assets].sort(),
    );
  });
});
