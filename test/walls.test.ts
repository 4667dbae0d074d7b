/** The walls that ARCHITECTURE.md draws, shown to the linter: a file for each import, which it must refuse or let pass. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');

/** A line that the linter is shown. */
interface Fixture {
  /** In `src/`, without its suffix. */
  file: string;
  code: string;
  refused: boolean;
}

interface Row {
  /** Files of `src/` that stand for what the row is about. */
  files: string[];
  rooms: string[];
  /** Modules of Node. */
  modules: string[];
  /** What judges addresses may be imported from node:net. */
  judgesAddresses: boolean;
}

const codes = (cell: string) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code = '']) => code);

async function readTable(): Promise<Row[]> {
  const text = await readFile(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const section = text.slice(text.indexOf('## The walls'), text.indexOf('## The flow of a byte'));
  return [...section.matchAll(/^\| (`.+?) \| (.*?) ?\| (.*?) ?\|$/gm)].map(
    ([, names = '', rooms = '', modules = '']) => ({
      files: codes(names).map((name) => (name.endsWith('/') ? `${name}fixture` : name)),
      rooms: codes(rooms),
      modules: codes(modules).filter((name) => !modules.includes(`\`${name}\` for addresses`)),
      judgesAddresses: modules.includes('for addresses'),
    }),
  );
}

/** Every room, and every file beside the rooms. */
async function readHouse(): Promise<string[]> {
  const entries = await readdir(join(ROOT, 'src'), { withFileTypes: true });
  return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name.replace(/\.ts$/, '')));
}

const importOf = (file: string, target: string) => {
  const path = relative(dirname(file), target);
  return `export { x } from '${path.startsWith('.') ? path : `./${path}`}.ts';`;
};

/** A row's files, each with every room, every file and every module of Node: what the row does not name is refused. */
function fixturesOf({ files, rooms, modules, judgesAddresses }: Row, house: readonly string[]): Fixture[] {
  return files.flatMap((file) => {
    const room = `${dirname(file)}/`;
    const targets = [...house.filter((name) => name !== room), ...rooms.filter((name) => !house.includes(name))];
    const own = { file, code: importOf(file, `${room}other`), refused: false };
    const crossing = targets.map((target) => ({
      file,
      code: importOf(file, target.endsWith('/') ? `${target}any` : target),
      refused: !rooms.includes(target),
    }));
    const ofNode = builtinModules.map((name) => ({
      file,
      code: `import 'node:${name}';`,
      refused: !modules.includes(name),
    }));
    const addresses = {
      file,
      code: `import { isIP } from 'node:net';`,
      refused: !(judgesAddresses || modules.includes('net')),
    };
    return [own, ...crossing, ...ofNode, addresses];
  });
}

/** Crossings that no table shows. */
const OTHERS: Fixture[] = [
  ...['route', 'options', 'events', 'assets', 'origin-advice'].flatMap((file) => [
    { file, code: importOf(file, 'protocol/registry'), refused: false },
    ...['server', 'registry/registry', 'transport/connection', 'frame/session', 'command/log'].map((target) => ({
      file,
      code: importOf(file, target),
      refused: true,
    })),
  ]),
  ...['server', 'front-desk', 'local-machine'].flatMap((file) => [
    { file, code: importOf(file, 'options'), refused: false },
    { file, code: `import net from 'node:net';`, refused: true },
    ...['command/log', 'agent/agent', 'dashboard/main', 'main', 'hypivisor'].map((target) => ({
      file,
      code: importOf(file, target),
      refused: true,
    })),
  ]),
  ...['http/gate', 'frame/session', 'proxy/relay', 'websocket/websocket', 'server'].map((target) => ({
    file: 'local-machine',
    code: importOf('local-machine', target),
    refused: true,
  })),
  ...['registry/roster', 'frame/session', 'host/jail', 'proxy/relay', 'front-desk', 'hypivisor'].map((target) => ({
    file: 'main',
    code: importOf('main', target),
    refused: true,
  })),
  ...['server', 'command/log', 'options'].map((target) => ({
    file: 'main',
    code: importOf('main', target),
    refused: false,
  })),
  ...['platform', 'link', 'state'].flatMap((folder) => [
    {
      file: `dashboard/${folder}/fixture`,
      code: importOf(`dashboard/${folder}/fixture`, 'protocol/agent'),
      refused: false,
    },
    ...['dashboard/view/app', 'dashboard/chat/chat', 'frame/mask'].map((target) => ({
      file: `dashboard/${folder}/fixture`,
      code: importOf(`dashboard/${folder}/fixture`, target),
      refused: true,
    })),
    { file: `dashboard/${folder}/fixture`, code: `import { useState } from 'preact/hooks';`, refused: true },
  ]),
  { file: 'dashboard/view/fixture', code: importOf('dashboard/view/fixture', 'dashboard/chat/chat'), refused: false },
  { file: 'dashboard/view/fixture', code: importOf('dashboard/view/fixture', 'registry/rpc'), refused: true },
  { file: 'dashboard/view/fixture', code: `import { open } from 'node:fs/promises';`, refused: true },
  ...['@earendil-works/pi-coding-agent', '@mariozechner/pi-coding-agent'].map((name) => ({
    file: 'agent/fixture',
    code: `import type { x } from '${name}';`,
    refused: true,
  })),
];

/** However a module is imported, it is imported. */
const FORMS: Fixture[] = [
  `import '../host/jail.ts';`,
  `import * as a from '../host/jail.ts';`,
  `import b from '../host/jail.ts';`,
  `import { c } from '../host/jail.ts';`,
  `import type { D } from '../host/jail.ts';`,
  `export * from '../host/jail.ts';`,
  `export type { E } from '../host/jail.ts';`,
  `export const f = import('../host/jail.ts');`,
  `import { connect } from 'node:net';`,
  `import * as g from 'node:net';`,
  `import h from 'node:net';`,
  `import type { Socket } from 'node:net';`,
].flatMap((code) => ['proxy/fixture', 'registry/fixture'].map((file) => ({ file, code, refused: true })));

const TIMERS = ['setTimeout', 'setInterval'];
const OUTSIDE = [
  ...TIMERS,
  'setImmediate',
  'queueMicrotask',
  'Date',
  'performance',
  'process',
  'console',
  'globalThis',
];
const use = (name: string) => `void ${name};`;
const GLOBALS: Fixture[] = [
  ...['frame/fixture', 'http/fixture', 'protocol/fixture', 'registry/fixture', 'route'].flatMap((file) =>
    OUTSIDE.map((name) => ({ file, code: use(name), refused: true })),
  ),
  ...['transport', 'opening', 'websocket', 'proxy', 'join'].flatMap((room) =>
    TIMERS.map((name) => ({ file: `${room}/fixture`, code: use(name), refused: true })),
  ),
  ...['registry/roster', 'registry/endpoint', 'server'].flatMap((file) =>
    TIMERS.map((name) => ({ file, code: use(name), refused: true })),
  ),
  { file: 'transport/deadlines', code: use('setTimeout'), refused: false },
  { file: 'registry/roster', code: use('Date'), refused: false },
];

/** Shows them to the linter, those of a file together. @returns those that it judges otherwise than they say */
async function misjudged(fixtures: readonly Fixture[]): Promise<Fixture[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-walls-'));
  try {
    for (const name of ['biome.json', '.gitignore']) await cp(join(ROOT, name), join(folder, name));
    const files = new Map<string, Fixture[]>();
    for (const fixture of fixtures) {
      const file = `src/${fixture.file}.ts`;
      files.set(file, [...(files.get(file) ?? []), fixture]);
    }
    for (const [file, lines] of files) {
      await mkdir(join(folder, dirname(file)), { recursive: true });
      await writeFile(join(folder, file), lines.map(({ code }) => `${code}\n`).join(''));
    }
    const refused = await lint(folder);
    return [...files].flatMap(([file, lines]) =>
      lines.filter((fixture, i) => fixture.refused !== refused.has(`${file}:${i + 1}`)),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns what crosses a wall, as `file:line` */
async function lint(folder: string): Promise<Set<string>> {
  const only = ['--only=style/noRestrictedImports', '--only=style/noRestrictedGlobals'];
  const args = [BIOME, 'lint', '--reporter=json', '--max-diagnostics=none', ...only, '.'];
  const report = await new Promise<string>((resolve) => {
    // Its exit code is not zero as soon as one is refused.
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 28 }, (_, stdout) => resolve(stdout));
  });
  const { diagnostics } = JSON.parse(report) as {
    diagnostics: { location: { path: string; start: { line: number } } }[];
  };
  return new Set(diagnostics.map(({ location }) => `${location.path}:${location.start.line}`));
}

describe('the walls', () => {
  let rows: Row[];
  let house: string[];

  before(async () => {
    rows = await readTable();
    house = await readHouse();
  });

  it('are drawn for every room', () => {
    const drawn = rows.flatMap(({ files }) => files.map((file) => `${dirname(file)}/`));
    const rooms = house.filter((name) => name.endsWith('/'));
    assert.deepEqual([...new Set(drawn)].sort(), rooms.sort());
  });

  it('stop every import that the table does not name, and no other', async () => {
    const fixtures = rows.flatMap((row) => fixturesOf(row, house));
    assert.ok(fixtures.length > 500);
    assert.deepEqual(await misjudged(fixtures), []);
  });

  for (const [what, fixtures] of [
    ['between files that are in no room, and within the dashboard', OTHERS],
    ['whatever form an import has', FORMS],
    ['for timers and clocks', GLOBALS],
  ] as const) {
    it(`stand ${what}`, async () => assert.deepEqual(await misjudged(fixtures), []));
  }
});
