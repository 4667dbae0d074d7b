import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Jail } from '../../src/host/jail.ts';
import { type SpawnOptions, type SpawnParams, spawnAgent } from '../../src/host/spawn.ts';
import { eventually } from '../support/measure.ts';
import { descriptorsIn, makeHome, type TestHome } from './home.ts';

/** Says so when its stdin ends, and ends then: as a pi in rpc mode does. */
const WAITING_FOR_STDIN = ['sh', '-c', 'echo waiting; cat; echo ended'];

interface Machine extends TestHome {
  readonly jail: Jail;
  readonly outputDirectory: string;
  spawn(command: readonly string[], params?: SpawnParams, env?: NodeJS.ProcessEnv): ReturnType<typeof spawnAgent>;
}

/** A home, in which all that was spawned is ended after the test, and whose temporary folder is `base`. */
async function makeMachine(t: TestContext): Promise<Machine> {
  const { TMPDIR, PATH } = process.env;
  const place = await makeHome(t, async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    process.env.PATH = PATH;
    for (const processId of await processIds(outputDirectory)) endAgent(processId);
  });
  const jail = await Jail.open(place.home);
  const outputDirectory = join(place.base, 'output');
  process.env.TMPDIR = place.base;
  return {
    ...place,
    jail,
    outputDirectory,
    spawn: (command, params = { path: '~' }, env = process.env) =>
      spawnAgent(jail, { command, env, outputDirectory } satisfies SpawnOptions, params),
  };
}

async function processIds(outputDirectory: string): Promise<number[]> {
  const names = await readdir(outputDirectory).catch(() => []);
  return names.map((name) => Number(name.split('-')[1]));
}

/** Ends an agent and what it started: it leads a process group of its own. */
function endAgent(processId: number): void {
  try {
    process.kill(-processId, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** The output of the only agent, as soon as it matches. */
async function outputOf({ outputDirectory }: Machine, pattern: RegExp): Promise<string> {
  for (const end = Date.now() + 5000; ; await delay(10)) {
    const [name = ''] = await readdir(outputDirectory);
    const output = await readFile(join(outputDirectory, name), 'utf8');
    if (pattern.test(output)) return output;
    assert.ok(Date.now() < end, `output so far: ${output}`);
  }
}

async function agentOf({ outputDirectory }: Machine): Promise<number> {
  const [processId] = await processIds(outputDirectory);
  assert.ok(processId !== undefined && processId > 0);
  return processId;
}

interface ProcessStatus {
  readonly state: string;
  readonly parent: number;
  readonly session: number;
}

/** proc(5): `pid (comm) state ppid pgrp session …`; undefined where the process is gone. */
async function statusOf(processId: number | string): Promise<ProcessStatus | undefined> {
  const line = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => '');
  const [, state, parent, session] = /^.*\) (\S) (\d+) \d+ (\d+)/s.exec(line) ?? [];
  return state === undefined ? undefined : { state, parent: Number(parent), session: Number(session) };
}

test('an agent runs in the folder asked for, with the environment given and PWD', async (t) => {
  const machine = await makeMachine(t);
  await mkdir(join(machine.home, 'project'));
  await symlink('project', join(machine.home, 'link'));
  const script = 'pwd -P; echo "$PWD"; echo "$HYPIVISOR_WS"; echo "home: $HOME"; echo "$0"; echo done >&2';
  const env = { PATH: process.env.PATH, HYPIVISOR_WS: 'ws://localhost:31415/ws', PWD: '/elsewhere' };
  const path = join(machine.home, 'project');
  assert.deepEqual(await machine.spawn(['sh', '-c', script, 'a "b" $c'], { path: 'link' }, env), {
    status: 'spawning',
    path,
  });
  assert.equal(await outputOf(machine, /done/), `${path}\n${path}\nws://localhost:31415/ws\nhome: \na "b" $c\ndone\n`);
});

test('an agent gets a FIFO without a name, its output file and no other descriptor', async (t) => {
  const machine = await makeMachine(t);
  await machine.spawn(['sleep', '30']);
  const fds = `/proc/${await agentOf(machine)}/fd`;
  const ours = await Promise.all((await readdir(fds)).map((fd) => readlink(join(fds, fd))));
  assert.equal(ours.filter((target) => target.startsWith(machine.base)).length, 3);
  assert.match(await readlink(join(fds, '0')), /\/stdin \(deleted\)$/);
  assert.match(await readlink(join(fds, '1')), /\/output\/agent-\d+-[\da-f-]+\.log$/);
  assert.equal(await readlink(join(fds, '2')), await readlink(join(fds, '1')));
  assert.deepEqual((await readdir(machine.base)).sort(), ['home', 'home-sibling', 'output', 'outside']);
  assert.equal(await descriptorsIn(machine.base), 0);
});

test('a Node program, as pi is one, waits on that stdin too', async (t) => {
  const machine = await makeMachine(t);
  const script = `
    process.stdin.on('data', () => console.log('data')).on('error', console.log).on('end', () => console.log('ended'));
    setTimeout(() => console.log('waiting'), 100);
  `;
  await machine.spawn([process.execPath, '-e', script]);
  assert.equal(await outputOf(machine, /./), 'waiting\n');
  await eventually(async () => assert.equal((await statusOf(await agentOf(machine)))?.state, 'S'));
});

test('an agent leads a session of its own', async (t) => {
  const machine = await makeMachine(t);
  await machine.spawn(WAITING_FOR_STDIN);
  const processId = await agentOf(machine);
  const status = await statusOf(processId);
  assert.equal(status?.session, processId);
  assert.equal(status?.parent, process.pid);
});

test('new_folder is trimmed, may be nested, and is made with its parents', async (t) => {
  const machine = await makeMachine(t);
  const vectors: [params: SpawnParams, name: string][] = [
    [{ path: '~', new_folder: ' new ' }, 'new'],
    [{ path: machine.home, new_folder: 'a/b' }, 'a/b'],
    [{ path: 'missing/parent', new_folder: '\tchild\n' }, 'missing/parent/child'],
    [{ path: 'a', new_folder: '' }, 'a'],
    [{ path: 'a', new_folder: '  ' }, 'a'],
    [{ path: 'a', new_folder: null }, 'a'],
    [{ path: 'a', new_folder: undefined }, 'a'],
  ];
  for (const [params, name] of vectors) {
    const path = join(machine.home, name);
    assert.deepEqual(await machine.spawn(['true'], params), { status: 'spawning', path });
  }
});

test('what cannot be spawned is refused with a sentence, and nothing is made', async (t) => {
  const machine = await makeMachine(t);
  const { home, outside } = machine;
  await writeFile(join(home, 'file'), '');
  await symlink(outside, join(home, 'link-outside'));
  await symlink(join(outside, 'missing'), join(home, 'dangling'));
  const before = (await readdir(home)).sort();
  const vectors: [params: SpawnParams, message: string][] = [
    [{}, 'Path does not exist'],
    [{ path: null }, 'Path does not exist'],
    [{ path: 7 }, 'Path does not exist'],
    [{ path: '' }, 'Path does not exist'],
    [{ new_folder: 'x' }, 'Path does not exist'],
    [{ path: 'missing' }, 'Path does not exist'],
    [{ path: 'dangling' }, 'Path does not exist'],
    [{ path: '/' }, 'Path resolves outside home directory'],
    [{ path: '/missing' }, 'Path resolves outside home directory'],
    [{ path: outside, new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: outside, new_folder: '../home/x' }, 'Path resolves outside home directory'],
    [{ path: `${home}-sibling`, new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: 'link-outside' }, 'Path resolves outside home directory'],
    [{ path: 'link-outside', new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: 'link-outside/x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: `${outside}/x` }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: `${home}/x` }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: '../../x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: 'a/../../..' }, 'Path resolves outside home directory'],
    [{ path: 'missing', new_folder: '..' }, 'Path resolves outside home directory'],
    [{ path: 'missing', new_folder: 'a\0b' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: 'x'.repeat(5000) }, 'Failed to spawn: name too long'],
    [{ path: '~', new_folder: `a/${'x'.repeat(256)}` }, 'Failed to spawn: name too long'],
    [{ path: 'x'.repeat(256) }, 'Failed to spawn: name too long'],
    [{ path: 'a\0b' }, 'Failed to spawn: NUL byte in path'],
    [{ path: '~', new_folder: 7 }, 'Failed to spawn: new_folder is not a string'],
    [{ path: 'file' }, 'Failed to spawn: not a directory'],
    [{ path: 'file/x' }, 'Failed to spawn: not a directory'],
    [{ path: 'file', new_folder: 'x' }, 'Failed to spawn: not a directory'],
    [{ path: 'dangling', new_folder: 'x' }, 'Failed to spawn: not a directory'],
  ];
  for (const [params, message] of vectors) {
    await assert.rejects(machine.spawn(['true'], params), { name: 'HostError', message }, JSON.stringify(params));
  }
  assert.deepEqual((await readdir(home)).sort(), before);
  assert.deepEqual(await readdir(outside), ['secret']);
  assert.deepEqual(await readdir(`${home}-sibling`), []);
  assert.equal(await descriptorsIn(machine.base), 0);
});

test('a command that cannot run is refused, and leaves nothing open and no output file', async (t) => {
  const machine = await makeMachine(t);
  const plainFile = join(machine.base, 'plain-file');
  await writeFile(plainFile, '');
  await chmod(plainFile, 0o600);
  const vectors: [command: string[], message: string][] = [
    [[], 'Failed to spawn: no command'],
    [['hypivisor-has-no-such-program'], 'Failed to spawn: hypivisor-has-no-such-program: command not found'],
    [[join(machine.base, 'missing/pi')], 'Failed to spawn: pi: command not found'],
    [[plainFile], 'Failed to spawn: plain-file: permission denied'],
    // The system's limit of one argument is 128 KiB. Node throws here instead of telling it by an event.
    [['true', 'x'.repeat(200_000)], 'Failed to spawn: argument list too long'],
    [['true', 'a\0b'], 'Failed to spawn: unexpected error'],
  ];
  for (const [command, message] of vectors) {
    await assert.rejects(machine.spawn(command), { name: 'HostError', message });
  }
  assert.deepEqual(await readdir(machine.outputDirectory), []);
  assert.equal(await descriptorsIn(machine.base), 0);
  assert.deepEqual((await readdir(machine.base)).sort(), ['home', 'home-sibling', 'output', 'outside', 'plain-file']);
});

test('without the program mkfifo, or a folder for it, nothing is spawned', async (t) => {
  const machine = await makeMachine(t);
  process.env.PATH = machine.base;
  await assert.rejects(machine.spawn(['/bin/true']), { message: 'Failed to spawn: mkfifo: command not found' });
  await writeFile(join(machine.base, 'mkfifo'), '#!/bin/sh\nexit 1\n', { mode: 0o700 });
  await assert.rejects(machine.spawn(['/bin/true']), { message: 'Failed to spawn: unexpected error' });
  process.env.TMPDIR = join(machine.base, 'missing');
  await assert.rejects(machine.spawn(['/bin/true']), { message: 'Failed to spawn: no such file or directory' });
  assert.deepEqual((await readdir(machine.base)).sort(), ['home', 'home-sibling', 'mkfifo', 'outside']);
});

test('an output folder that cannot be one is refused', async (t) => {
  const machine = await makeMachine(t);
  await writeFile(machine.outputDirectory, '');
  await assert.rejects(machine.spawn(['true']), { message: 'Failed to spawn: file already exists' });
  assert.equal(await descriptorsIn(machine.base), 0);
});

test('agents that end leave no zombie', async (t) => {
  const machine = await makeMachine(t);
  await Promise.all(Array.from({ length: 20 }, () => machine.spawn(['true'])));
  const started = await processIds(machine.outputDirectory);
  assert.equal(started.length, 20);
  for (const end = Date.now() + 5000; ; await delay(10)) {
    const statuses = await Promise.all(started.map(statusOf));
    const children = statuses.filter((status) => status?.parent === process.pid);
    if (children.length === 0) break;
    assert.ok(Date.now() < end, JSON.stringify(children));
  }
  assert.equal(await descriptorsIn(machine.base), 0);
});

for (const ending of ['SIGKILL', 'SIGTERM', 'nothing left to do']) {
  test(`an agent outlives its daemon, ended by ${ending}`, { timeout: 30_000 }, async (t) => {
    const machine = await makeMachine(t);
    const isKilled = ending.startsWith('SIG');
    const daemon = startDaemon(machine, isKilled ? 'stay' : 'go');
    t.after(() => daemon.kill('SIGKILL'));
    const exit = once(daemon, 'exit');
    const [printed] = await once(daemon.stdout ?? daemon, 'data');
    const processId = Number(printed);
    await outputOf(machine, /waiting/);
    if (isKilled) daemon.kill(ending as NodeJS.Signals);
    assert.deepEqual(await exit, isKilled ? [null, ending] : [0, null]);

    // Long enough for a program to see the end of its stdin, if there was one.
    await delay(300);
    const status = await statusOf(processId);
    assert.equal(status?.state, 'S');
    assert.notEqual(status?.parent, daemon.pid);
    assert.match(await readlink(`/proc/${processId}/fd/0`), /\/stdin \(deleted\)$/);
    assert.equal(await outputOf(machine, /waiting/), 'waiting\n');
  });
}

function startDaemon({ home, outputDirectory }: Machine, stay: string): ChildProcess {
  const daemon = fileURLToPath(new URL('daemon.ts', import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', daemon, home, outputDirectory, stay, ...WAITING_FOR_STDIN], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
