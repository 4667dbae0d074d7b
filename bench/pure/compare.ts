/**
 * This build beside that of another commit: in turn, each round in processes of their own. It informs, and never fails.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { number, spread } from '../report/format.ts';
import { orderOf, spreadOf } from '../rounds.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const ROUNDS = 4;
/** The time limit, in case a function hangs in an older build. */
const TIMEOUT_MS = 30_000;

/** Nanoseconds by name. */
type Times = Record<string, number>;

const execute = promisify(execFile);

export async function compareWith(commit: string, dist: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-bench-'));
  try {
    const name = await archive(commit, folder);
    const before = await build(folder);
    const rounds = await measureInTurn(before, dist);
    process.stdout.write(table(name, rounds));
  } catch (error) {
    const { message } = error as Error;
    process.stdout.write(`Not compared with ${commit}: ${message.trim().split('\n').slice(0, 3).join(' ')}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Unpacks the sources of a commit into the folder. @returns the commit's name */
async function archive(commit: string, folder: string): Promise<string> {
  const git = async (...args: string[]) => (await execute('git', args, { cwd: ROOT })).stdout.trim();
  const hash = await git('rev-parse', '--verify', '--short', `${commit}^{commit}`);
  const packed = join(folder, 'sources.tar');
  await git('archive', '--output', packed, hash, 'src', 'package.json', 'tsconfig.json');
  await execute('tar', ['-xf', packed, '-C', folder]);
  return hash;
}

/** Builds them with this checkout's compiler. @returns the folder of the build */
async function build(folder: string): Promise<string> {
  const tools = join(ROOT, 'node_modules');
  await symlink(tools, join(folder, 'node_modules'));
  const dist = join(folder, 'dist');
  const compiler = join(tools, 'typescript/bin/tsc');
  await execute(process.execPath, [compiler, '--project', folder, '--outDir', dist], { cwd: folder });
  return dist;
}

async function measureInTurn(before: string, now: string): Promise<{ before: Times; now: Times }[]> {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times = new Map<string, Times>();
    for (const dist of orderOf(round, [before, now])) times.set(dist, await measure(dist));
    rounds.push({ before: times.get(before) as Times, now: times.get(now) as Times });
  }
  return rounds;
}

async function measure(dist: string): Promise<Times> {
  const args = ['--import', 'tsx', MAIN, dist, '--quick'];
  const { stdout } = await execute(process.execPath, args, { cwd: ROOT, timeout: TIMEOUT_MS });
  return JSON.parse(stdout);
}

/** The ratio of the least times of all rounds, and in parentheses the range of the ratios in single rounds. */
function table(commit: string, rounds: readonly { before: Times; now: Times }[]): string {
  const names = Object.keys(rounds[0]?.now ?? {});
  const rows = names.map((name) => {
    const both = rounds.flatMap((round) => {
      const [before, now] = [round.before[name], round.now[name]];
      return before === undefined || now === undefined ? [] : [{ before, now }];
    });
    if (both.length === 0) return `| ${name} | | | |`;
    const before = spreadOf(both.map((round) => round.before)).min;
    const now = spreadOf(both.map((round) => round.now)).min;
    const ratios = spreadOf(both.map((round) => round.before / round.now));
    return `| ${name} | ${number(before)} ns | ${number(now)} ns | ${spread({ ...ratios, median: before / now })} |`;
  });
  const head = [`| | ${commit} | now | × as fast |`, '| --- | --: | --: | --: |'];
  return `${[...head, ...rows].join('\n')}\n`;
}
