import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agents, type AgentsOptions, type Caller, type EndedAgent, type StartedAgent } from '../../src/host/agents.ts';
import { Helper } from '../../src/host/helper-process.ts';
import { launch } from '../../src/host/launch.ts';
import type { SpawnParams } from '../../src/host/prepare.ts';
import { eventually } from '../support/measure.ts';
import { descriptorsIn, makeHome, type TestHome } from './home.ts';

/** Says so when its stdin ends, and ends then: as a pi in rpc mode does. */
const WAITING_FOR_STDIN = ['sh', '-c', 'echo waiting; cat; echo ended'];

const CALLER: Caller = { remoteAddress: '192.0.2.1' };

interface Machine extends TestHome {
  readonly agents: Agents;
  readonly outputDirectory: string;
  readonly started: StartedAgent[];
  readonly ended: EndedAgent[];
  start(params?: SpawnParams, env?: NodeJS.ProcessEnv, caller?: Caller): Promise<StartedAgent>;
}

/** A home, in which all that was started is ended after the test. */
async function makeMachine(t: TestContext, command: string[], options: Partial<AgentsOptions> = {}): Promise<Machine> {
  const started: StartedAgent[] = [];
  const ended: EndedAgent[] = [];
  const place = await makeHome(t, async () => {
    helper.close();
    for (const { processId } of started) endAgent(processId);
  });
  const program = new URL('../../src/host/helper.ts', import.meta.url);
  const helper = new Helper({ program, timeoutMs: 20_000, onFault: (error) => assert.fail(String(error)) });
  const outputDirectory = join(place.base, 'output');
  const agents = new Agents(helper, {
    home: place.home,
    command,
    outputDirectory,
    settleMs: 300,
    timeoutMs: 20_000,
    admission: { maxAgents: 100, minFreeMemory: 0 },
    freeMemory: () => null,
    onStarted: (agent) => started.push(agent),
    onEnded: (agent) => ended.push(agent),
    ...options,
  });
  return {
    ...place,
    agents,
    outputDirectory,
    started,
    ended,
    start: (params = { path: '~' }, env = process.env, caller = CALLER) => agents.start(params, env, caller),
  };
}

/** Ends an agent and what it started: it leads a process group of its own. */
function endAgent(processId: number): void {
  try {
    process.kill(-processId, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** The output of an agent, as soon as it matches. */
function outputOf({ output }: StartedAgent, pattern: RegExp): Promise<string> {
  return eventually(async () => {
    const text = await readFile(output, 'utf8');
    assert.match(text, pattern);
    return text;
  });
}

interface ProcessStatus {
  readonly state: string;
  readonly parent: number;
  readonly session: number;
}

/** proc(5): `pid (comm) state ppid pgrp session …`; undefined if the process is gone. */
async function statusOf(processId: number | string): Promise<ProcessStatus | undefined> {
  const line = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => '');
  const [, state, parent, session] = /^.*\) (\S) (\d+) \d+ (\d+)/s.exec(line) ?? [];
  return state === undefined ? undefined : { state, parent: Number(parent), session: Number(session) };
}

test('an agent runs in the folder asked for, with the environment given, PWD and its spawn id', async (t) => {
  const script = 'pwd -P; echo "$PWD"; env; echo "$0"; echo "home: $HOME"; sleep 30';
  const { home, start } = await makeMachine(t, ['sh', '-c', script, 'a "b" $c']);
  await mkdir(join(home, 'project'));
  await symlink('project', join(home, 'link'));
  const path = join(home, 'project');
  const env = {
    PATH: process.env.PATH,
    HYPIVISOR_WS: 'ws://localhost:31415/ws',
    PWD: '/elsewhere',
    TWO: 'a\n  b\n',
    'BASH_FUNC_module%%': '() {  echo "$1"\n}',
    'with.dots': 'x',
  };
  const agent = await start({ path: 'link' }, env);
  assert.equal(agent.folder, path);
  const lines = (await outputOf(agent, /home: /)).split('\n');
  assert.deepEqual(lines.slice(0, 2), [path, path]);
  assert.deepEqual(lines.slice(-3), ['a "b" $c', 'home: ', '']);
  const environment = (await readFile(`/proc/${agent.processId}/environ`, 'utf8')).split('\0').filter(Boolean);
  // What some shells set for the programs they start.
  const given = environment.filter((variable) => !/^(_|SHLVL)=/.test(variable));
  const expected = { ...env, PWD: path, HYPI_SPAWN_ID: agent.spawnId };
  assert.deepEqual(
    given.sort(),
    Object.entries(expected)
      .map(([name, value]) => `${name}=${value}`)
      .sort(),
  );
});

test('an agent gets a FIFO without a name, its private output file and no other descriptor', async (t) => {
  const { base, outputDirectory, start } = await makeMachine(t, ['sleep', '30']);
  const agent = await start();
  const fds = `/proc/${agent.processId}/fd`;
  // What the test itself has inherited goes on to whatever it starts.
  const targets = await Promise.all((await readdir(fds)).map((fd) => readlink(join(fds, fd))));
  assert.equal(targets.filter((target) => target.startsWith(base)).length, 3);
  assert.equal(targets.filter((target) => target.startsWith('socket:')).length, 0);
  assert.match(await readlink(join(fds, '0')), /\/output\/stdin-[\da-f-]+ \(deleted\)$/);
  assert.equal(await readlink(join(fds, '1')), agent.output);
  assert.equal(await readlink(join(fds, '2')), agent.output);
  assert.equal(agent.output, join(outputDirectory, `agent-${agent.processId}-${agent.spawnId}.log`));
  assert.deepEqual(await readdir(outputDirectory), [agent.output.slice(outputDirectory.length + 1)]);
  assert.equal((await stat(agent.output)).mode & 0o777, 0o600);
  assert.equal(await descriptorsIn(base), 0);
});

test('files that an agent makes are for whom its person chose', async (t) => {
  const before = process.umask(0o027);
  t.after(() => process.umask(before));
  const { home, start } = await makeMachine(t, ['sh', '-c', 'touch made; sleep 30']);
  await start();
  await eventually(async () => assert.equal((await stat(join(home, 'made'))).mode & 0o777, 0o640));
});

test('a Node program, as pi is one, waits on that stdin too', async (t) => {
  const script = `
    process.stdin.on('data', () => console.log('data')).on('error', console.log).on('end', () => console.log('ended'));
    setTimeout(() => console.log('waiting'), 100);
  `;
  const { start } = await makeMachine(t, [process.execPath, '-e', script]);
  const agent = await start();
  assert.equal(await outputOf(agent, /./), 'waiting\n');
  await eventually(async () => assert.equal((await statusOf(agent.processId))?.state, 'S'));
});

test('a prompt is the first thing on that stdin, however long, and stdin goes on', async (t) => {
  const { outputDirectory, start } = await makeMachine(t, WAITING_FOR_STDIN);
  for (const prompt of ['hello', `long ${'é'.repeat(300_000)}`]) {
    const agent = await start({ path: '~', prompt });
    await eventually(async () => {
      const [first, line = '', ...rest] = (await readFile(agent.output, 'utf8')).split('\n');
      assert.deepEqual([first, rest], ['waiting', ['']]);
      assert.deepEqual(JSON.parse(line), { type: 'prompt', message: prompt });
    });
    await eventually(async () =>
      assert.equal(
        (await readdir(outputDirectory)).some((name) => /prompt|stdin/.test(name)),
        false,
      ),
    );
    await delay(100);
    assert.equal((await statusOf(agent.processId))?.state, 'S');
    assert.doesNotMatch(await readFile(agent.output, 'utf8'), /ended/);
  }
});

test('an unread prompt is removed a moment after its agent has ended', async (t) => {
  const { outputDirectory, start, ended } = await makeMachine(t, ['sleep', '1']);
  await start({ path: '~', prompt: 'x'.repeat(500_000) });
  await eventually(() => assert.equal(ended.length, 1));
  await eventually(async () =>
    assert.deepEqual(
      (await readdir(outputDirectory)).filter((name) => /prompt/.test(name)),
      [],
    ),
  );
});

test('model and session follow the arguments of the command', async (t) => {
  const { start } = await makeMachine(t, ['sh', '-c', 'echo "$@"; sleep 30', 'sh', '--mode', 'rpc']);
  const agent = await start({ path: '~', model: 'a/b c' });
  assert.equal(await outputOf(agent, /\n/), '--mode rpc --model a/b c\n');
  assert.deepEqual(agent.command.slice(-4), ['--mode', 'rpc', '--model', 'a/b c']);
});

test('an agent leads a session of its own', async (t) => {
  const { start } = await makeMachine(t, WAITING_FOR_STDIN);
  const { processId } = await start();
  const status = await statusOf(processId);
  assert.equal(status?.session, processId);
  assert.equal(status?.parent, process.pid);
});

test('start and end are reported: caller, command, folder, and the way it ended', async (t) => {
  const { agents, home, start, started, ended } = await makeMachine(t, ['sh', '-c', 'echo hello; exec sleep 30']);
  const told: EndedAgent[] = [];
  const agent = await start({ path: '~' }, process.env, { ...CALLER, onEnded: (end) => told.push(end) });
  assert.deepEqual(started, [agent]);
  const { spawnId, processId, output } = agent;
  assert.deepEqual(agent, {
    spawnId,
    remoteAddress: '192.0.2.1',
    command: ['sh', '-c', 'echo hello; exec sleep 30'],
    folder: home,
    processId,
    output,
  });
  assert.equal(agents.get(spawnId)?.end, null);
  await outputOf(agent, /hello/);
  endAgent(processId);
  await eventually(() => assert.equal(ended.length, 1));
  const { durationMs } = ended[0] as EndedAgent;
  assert.ok(durationMs >= 300 && durationMs < 60_000);
  assert.deepEqual(ended, [{ ...agent, exitCode: null, signal: 'SIGKILL', durationMs, outputEnd: 'hello' }]);
  await eventually(() => assert.deepEqual(told, ended));
  assert.deepEqual(agents.get(spawnId)?.end, ended[0]);
});

test('a command that ends at once is an error, with the end of what it printed', async (t) => {
  for (const [script, message] of [
    ['echo "No API key" >&2; exit 3', 'Failed to spawn: sh ended at once with exit code 3: No API key'],
    ['printf "\\033[31ma\\033[0m\\nb\\n"', 'Failed to spawn: sh ended at once with exit code 0: a\nb'],
    ['exit 0', 'Failed to spawn: sh ended at once with exit code 0'],
    ['kill -9 $$', 'Failed to spawn: sh ended at once by SIGKILL'],
    // As a pi without a terminal does.
    ['exec cat </dev/null', 'Failed to spawn: sh ended at once with exit code 0'],
  ] as const) {
    const { start, started, ended } = await makeMachine(t, ['sh', '-c', script], { settleMs: 10_000 });
    const told: EndedAgent[] = [];
    const caller = { ...CALLER, onEnded: (end: EndedAgent) => told.push(end) };
    await assert.rejects(start({ path: '~' }, process.env, caller), { name: 'HostError', message });
    assert.deepEqual([started.length, ended.length], [1, 1], 'it is told all the same');
    assert.deepEqual(told, [], 'the caller knows already');
  }
});

test('a start has worked once its agent has registered, by its spawn id or else by its process', async (t) => {
  const { agents, home, start, started } = await makeMachine(t, ['sleep', '30'], { settleMs: 600_000 });
  for (const registrationOf of [
    ({ spawnId }: StartedAgent) => ({ id: 'a', cwd: '/other', pid: 1, spawn_id: spawnId }),
    ({ processId }: StartedAgent) => ({ id: 'b', cwd: home, pid: processId }),
  ]) {
    const answer = start();
    const agent = await eventually(() => {
      const last = started.at(-1);
      assert.ok(last !== undefined && agents.get(last.spawnId)?.nodeId === null, 'told');
      return last;
    });
    for (const other of [
      { id: 'x', cwd: home },
      { id: 'x', cwd: home, pid: agent.processId + 1 },
      { id: 'x', cwd: '/other', pid: agent.processId },
      { id: 'x', cwd: home, pid: agent.processId, spawn_id: 'other' },
    ]) {
      agents.noteRegistration(other);
    }
    assert.equal(agents.get(agent.spawnId)?.nodeId, null);
    agents.noteRegistration(registrationOf(agent));
    assert.deepEqual(await answer, agent);
    assert.equal(agents.get(agent.spawnId)?.nodeId, registrationOf(agent).id);
    agents.noteRegistration({ ...registrationOf(agent), id: 'another session' });
    assert.equal(agents.get(agent.spawnId)?.nodeId, registrationOf(agent).id, 'the first registration counts');
  }
});

test('a command that cannot run is refused, and leaves nothing open and no file', async (t) => {
  const { base } = await makeHome(t);
  const plainFile = join(base, 'plain-file');
  await writeFile(plainFile, '', { mode: 0o600 });
  const vectors: [command: string[], message: RegExp][] = [
    [[], /^Failed to spawn: no command$/],
    [['hypivisor-has-no-such-program'], /^Failed to spawn: hypivisor-has-no-such-program: command not found$/],
    [[join(base, 'missing/pi')], /^Failed to spawn: pi: command not found$/],
    [[plainFile], /^Failed to spawn: plain-file: permission denied$/],
    // The system's limit of one argument is 128 KiB. Node throws here instead of telling it by an event.
    [['true', 'x'.repeat(200_000)], /^Failed to spawn: (sh: )?argument list too long$/],
    [['true', 'a\0b'], /^Failed to spawn: unexpected error$/],
  ];
  for (const [command, message] of vectors) {
    const { base, outputDirectory, start, started } = await makeMachine(t, command);
    await assert.rejects(start(), { name: 'HostError', message });
    assert.deepEqual(await readdir(outputDirectory).catch(() => []), []);
    assert.equal(await descriptorsIn(base), 0);
    assert.deepEqual(started, []);
  }
});

test('a program that cannot be loaded is told by the shell’s words', async (t) => {
  const { base } = await makeHome(t);
  const program = join(base, 'pi');
  await writeFile(program, '#!/no/such/interpreter\n', { mode: 0o700 });
  const { start } = await makeMachine(t, [program], { settleMs: 10_000 });
  await assert.rejects(
    start(),
    /^HostError: Failed to spawn: pi ended at once with exit code 12[67]: .*not found|No such file/,
  );
});

test('the program of a name is never one that lies in the folder', async (t) => {
  const { home, start } = await makeMachine(t, ['agent.sh']);
  await writeFile(join(home, 'agent.sh'), '#!/bin/sh\ntouch ran\n', { mode: 0o755 });
  for (const PATH of [`.:${process.env.PATH}`, `${process.env.PATH}:`, '', '.']) {
    await assert.rejects(start({ path: '~' }, { PATH }), { message: 'Failed to spawn: agent.sh: command not found' });
  }
  assert.deepEqual(await readdir(home), ['agent.sh']);
});

test('agents that end leave no zombie', async (t) => {
  const { base, start, ended } = await makeMachine(t, ['true'], { settleMs: 10_000 });
  await Promise.all(Array.from({ length: 20 }, () => assert.rejects(start(), /ended at once with exit code 0/)));
  assert.equal(ended.length, 20);
  const statuses = await Promise.all(ended.map(({ processId }) => statusOf(processId)));
  assert.deepEqual(
    statuses.filter((status) => status?.parent === process.pid),
    [],
  );
  assert.equal(await descriptorsIn(base), 0);
});

test('a folder that is elsewhere by the time an agent would enter it is refused', async (t) => {
  const { home, outside, outputDirectory } = await makeMachine(t, []);
  await mkdir(outputDirectory);
  await mkdir(join(home, 'project'));
  const launchIn = (folder: string) => {
    const command = ['/bin/sh', '-c', 'touch ran'] as const;
    return launch({ spawnId: '0', command, environment: {}, folder, outputDirectory, stdinFile: null }, 20_000);
  };
  await launchIn(join(home, 'project'));
  await eventually(async () => assert.deepEqual(await readdir(join(home, 'project')), ['ran']));

  await rename(join(home, 'project'), join(home, 'aside'));
  const refused = { name: 'HostError', message: 'Failed to spawn: its folder cannot be entered' };
  await assert.rejects(launchIn(join(home, 'project')), refused);
  await symlink(outside, join(home, 'project'));
  for (const name of ['project', 'project/secret', 'aside/../project']) {
    await assert.rejects(launchIn(join(home, name)), refused, name);
  }
  assert.deepEqual(await readdir(outside), ['secret']);
  assert.deepEqual(await readdir(join(outside, 'secret')), []);
});

test('a start whose files cannot be made is refused', async (t) => {
  const { base, home } = await makeMachine(t, []);
  const launchTo = (outputDirectory: string) => {
    const command = ['/bin/sh', '-c', 'touch ran'] as const;
    return launch({ spawnId: '0', command, environment: {}, folder: home, outputDirectory, stdinFile: null }, 20_000);
  };
  const noStdin = { name: 'HostError', message: 'Failed to spawn: its stdin cannot be made' };
  await assert.rejects(launchTo(join(base, 'missing')), noStdin);
  assert.deepEqual(await readdir(home), []);
});

for (const ending of ['SIGKILL', 'SIGTERM', 'nothing left to do']) {
  test(`an agent outlives its daemon, ended by ${ending}`, { timeout: 60_000 }, async (t) => {
    const machine = await makeMachine(t, WAITING_FOR_STDIN);
    const isKilled = ending.startsWith('SIG');
    const daemon = startDaemon(machine, isKilled ? 'stay' : 'go');
    t.after(() => daemon.kill('SIGKILL'));
    const exit = once(daemon, 'exit');
    const [printed] = await once(daemon.stdout ?? daemon, 'data');
    const processId = Number(printed);
    t.after(() => endAgent(processId));
    const [name = ''] = await readdir(machine.outputDirectory);
    const agent = { output: join(machine.outputDirectory, name) } as StartedAgent;
    await outputOf(agent, /waiting/);
    if (isKilled) daemon.kill(ending as NodeJS.Signals);
    assert.deepEqual(await exit, isKilled ? [null, ending] : [0, null]);

    // Long enough for a program to see the end of its stdin, if there was one.
    await delay(300);
    const status = await statusOf(processId);
    assert.equal(status?.state, 'S');
    assert.notEqual(status?.parent, daemon.pid);
    assert.match(await readlink(`/proc/${processId}/fd/0`), /\/stdin-[\da-f-]+ \(deleted\)$/);
    assert.equal(await outputOf(agent, /waiting/), 'waiting\n');
  });
}

function startDaemon({ home, outputDirectory }: Machine, stay: string): ChildProcess {
  const daemon = fileURLToPath(new URL('daemon.ts', import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', daemon, home, outputDirectory, stay, ...WAITING_FOR_STDIN], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

test('a flood of starts gets as many agents as may live, and one more for each that ends', async (t) => {
  const { start, started, ended } = await makeMachine(t, ['sleep', '60'], {
    admission: { maxAgents: 3, minFreeMemory: 0 },
    settleMs: 10,
  });
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => start()));
  assert.equal(started.length, 3);
  const refusals = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  assert.equal(refusals.length, 17);
  for (const { reason } of refusals) {
    assert.match(
      reason.message,
      /^Failed to spawn: 3 agents that were started here are alive, as many as may be \(--max-agents 3\)$/,
    );
  }
  endAgent((started[0] as StartedAgent).processId);
  await eventually(() => assert.equal(ended.length, 1));
  await start();
  await assert.rejects(start(), /--max-agents 3/);
});

test('a start that fails is not counted', async (t) => {
  const { start, started } = await makeMachine(t, ['sleep', '60'], {
    admission: { maxAgents: 1, minFreeMemory: 0 },
    settleMs: 10,
  });
  for (let i = 0; i < 3; i++) await assert.rejects(start({ path: '/' }), /Path resolves outside home directory/);
  await start();
  assert.equal(started.length, 1);
});

test('without the memory that is wanted nothing is started, and the caller gets the figures', async (t) => {
  let free = 100 * 1024 * 1024;
  const { start, started } = await makeMachine(t, ['sleep', '60'], {
    admission: { maxAgents: 10, minFreeMemory: 256 * 1024 * 1024 },
    freeMemory: () => free,
    settleMs: 10,
  });
  await assert.rejects(start(), {
    message:
      'Failed to spawn: this machine has 100 MiB of memory left, and wants 256 for one more agent (--min-free-memory 256)',
  });
  assert.equal(started.length, 0);
  free *= 3;
  await start();
});
