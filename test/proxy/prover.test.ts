import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isLoopback } from '../../src/proxy/address.ts';
import type { Target } from '../../src/proxy/destination.ts';
import { Prover, type ProverContext } from '../../src/proxy/prover.ts';
import { Resolver } from '../../src/proxy/resolver.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { eventually } from '../support/measure.ts';
import { mockLookup } from './mock-lookup.ts';

const PATIENCE = { timeout: 60_000 };
const FOR_EVER = { dialTimeoutMs: 5000, proofIntervalMs: Number.POSITIVE_INFINITY };

const at = (port: number, fields: Partial<Target> = {}): Target => ({
  machine: 'localhost',
  port,
  registrant: { address: '127.0.0.1', isHere: true, namesHere: true },
  hasDouble: false,
  wayBack: null,
  ...fields,
});

const named = (machine: string, port: number): Target =>
  at(port, { machine, registrant: { address: '127.0.0.1', isHere: true, namesHere: false } });

interface Scene {
  prover: Prover;
  connections: Connections;
  /** By id; an agent that is missing is gone. */
  targets: Map<string, Target>;
  /** What was told, in order. */
  told: [id: string, sentence: string | null][];
  /** The registration of all. */
  registration: object;
  add(id: string, target: Target): void;
}

function scene(t: TestContext, context: Partial<ProverContext> = {}): Scene {
  const connections = new Connections(new Deadlines(), (error) => assert.fail(String(error)));
  const targets = new Map<string, Target>();
  const told: Scene['told'] = [];
  const registration = {};
  const prover = new Prover({
    connections,
    resolver: new Resolver(connections.deadlines),
    surroundings: { isHere: isLoopback, isOwn: () => false, onlyWhereRegistered: false },
    limits: FOR_EVER,
    targetOf: (id, by) => (by === registration ? (targets.get(id) ?? null) : null),
    onProved: (id, _, sentence) => told.push([id, sentence]),
    ...context,
  });
  t.after(() => prover.close());
  const add = (id: string, target: Target) => {
    targets.set(id, target);
    prover.add(id, registration);
  };
  // Deadlines keep no process alive.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  return { prover, connections, targets, told, registration, add };
}

interface Listener {
  port: number;
  /** How many came, and the bytes that they sent in all. */
  came: number;
  bytes: number;
  /** How many are open. */
  open: number;
}

async function listen(t: TestContext): Promise<Listener> {
  const server = net.createServer();
  const listener: Listener = { port: 0, came: 0, bytes: 0, open: 0 };
  server.on('connection', (socket) => {
    listener.came++;
    listener.open++;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      listener.bytes += chunk.length;
    });
    socket.on('close', () => listener.open--);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  listener.port = (server.address() as AddressInfo).port;
  return listener;
}

/** A port on which nobody listens. */
async function deafPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A port that takes no connection and refuses none: a process that sleeps has as many waiting as it may. */
async function silentPort(t: TestContext): Promise<number> {
  const program = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [port] = await once(child.stdout, 'data');
  // Until one is left waiting.
  for (;;) {
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    if ((await Promise.race([once(socket, 'connect'), delay(500)])) === undefined) return Number(port);
  }
}

describe('a proof', PATIENCE, () => {
  test('is a bare connection, closed at once', async (t) => {
    const { told, add, connections } = scene(t);
    const agent = await listen(t);
    add('a', at(agent.port));
    await eventually(() => assert.deepEqual(told, [['a', null]]));
    await eventually(() => assert.deepEqual(agent, { port: agent.port, came: 1, bytes: 0, open: 0 }));
    await eventually(() => assert.equal(connections.size, 0));
  });

  test('tries the addresses in turn, as a relay does', async (t) => {
    mockLookup(t, async () => [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
    const { told, add } = scene(t);
    const agent = await listen(t);
    add('a', named('somebody', agent.port));
    await eventually(() => assert.deepEqual(told, [['a', null]]));
  });

  test('that fails says why, in the words of a relay', async (t) => {
    mockLookup(t, async () => {
      throw new Error('ENOTFOUND');
    });
    const { told, add } = scene(t, {
      surroundings: { isHere: isLoopback, isOwn: (_, port) => port === 7, onlyWhereRegistered: false },
    });
    add('refused', at(await deafPort()));
    add('itself', at(7));
    add('nameless', named('nobody', 9));
    await eventually(() => assert.equal(told.length, 3));
    assert.deepEqual(Object.fromEntries(told), {
      refused: 'Cannot reach agent: connection refused',
      itself: 'Cannot reach agent: its address is the hypivisor itself',
      nameless: 'Cannot resolve agent: its machine name is unknown here',
    });
  });

  test('of a registration that is no more is not told, and costs no connection', async (t) => {
    const { told, add, prover, registration } = scene(t);
    const agent = await listen(t);
    add('left', at(agent.port));
    prover.keepOnly('left', null);
    add('taken', at(agent.port));
    prover.add('taken', {});
    add('kept', at(agent.port));
    prover.keepOnly('kept', registration);
    await eventually(() => assert.deepEqual(told, [['kept', null]]));
    assert.equal(agent.came, 1);
    assert.equal(prover.size, 1);
  });

  test('is given up while it is under way', async (t) => {
    let answer: (found: []) => void = () => {};
    mockLookup(t, () => new Promise((resolve) => (answer = resolve)));
    const { told, add, prover, connections } = scene(t);
    add('named', named('slow', 9));
    add('silent', at(await silentPort(t)));
    await eventually(() => assert.equal(connections.size, 1));
    prover.keepOnly('named', null);
    prover.keepOnly('silent', null);
    answer([]);
    await eventually(() => assert.equal(connections.size, 0));
    await delay(300);
    assert.deepEqual(told, []);
  });
});

describe('a look-up', PATIENCE, () => {
  test('is one at a time, and does not hold up proofs without a look-up', async (t) => {
    const answers: ((found: { address: string; family: number }[]) => void)[] = [];
    mockLookup(t, () => new Promise((resolve) => answers.push(resolve)));
    const { told, add } = scene(t);
    const agent = await listen(t);
    for (const id of ['a', 'b', 'c']) add(id, named(id, agent.port));
    add('d', at(agent.port));
    await eventually(() => assert.deepEqual(told, [['d', null]]));
    for (let round = 1; round <= 3; round++) {
      await eventually(() => assert.equal(answers.length, round));
      await delay(100);
      assert.equal(answers.length, round);
      answers.at(-1)?.([{ address: '127.0.0.1', family: 4 }]);
    }
    await eventually(() => assert.equal(told.length, 4));
    assert.deepEqual(told.map(([id]) => id).sort(), ['a', 'b', 'c', 'd']);
  });
});

describe('proofs', PATIENCE, () => {
  test('come again and again, and not all at the same time', async (t) => {
    const { told, add } = scene(t, { limits: { dialTimeoutMs: 5000, proofIntervalMs: 1000 } });
    const agent = await listen(t);
    for (let i = 0; i < 5; i++) add(`${i}`, at(agent.port));
    await eventually(() => assert.ok(agent.came >= 15, `${agent.came} came`));
    await eventually(() => assert.ok(told.length >= 15, `${told.length} told`));
    assert.ok(told.every(([, sentence]) => sentence === null));
  });

  test('are tried again soon after one has failed', async (t) => {
    const { told, add } = scene(t, { limits: { dialTimeoutMs: 5000, proofIntervalMs: 500 } });
    const port = await deafPort();
    add('a', at(port));
    await eventually(() => assert.ok(told.length >= 2, `${told.length} told`));
    assert.ok(told.every(([, sentence]) => sentence === 'Cannot reach agent: connection refused'));
    const agent = net.createServer().listen(port, '127.0.0.1');
    t.after(() => agent.close());
    await eventually(() => assert.equal(told.at(-1)?.[1], null));
  });

  test('of many that come at once are spread, few are under way, and are told in groups', async (t) => {
    const connecting = { now: 0, most: 0 };
    const { told, add, connections } = scene(t);
    const agent = await listen(t);
    const began = performance.now();
    for (let i = 0; i < 120; i++) add(`${i}`, at(agent.port));
    const groups = new Set<number>();
    let seen = 0;
    while (told.length < 120) {
      connecting.most = Math.max(connecting.most, connections.size);
      if (told.length > seen) groups.add(told.length);
      seen = told.length;
      await delay(5);
    }
    const tookMs = performance.now() - began;
    assert.ok(tookMs > 2000, `no more than fifty a second: 120 took ${tookMs} ms`);
    assert.ok(connecting.most <= 16, `${connecting.most} at once`);
    assert.ok(groups.size < 30, `${groups.size} groups`);
    assert.equal(agent.came, 120);
  });

  test('without an answer hold no more than sixteen connections', async (t) => {
    const { add, connections } = scene(t, { limits: { dialTimeoutMs: 60_000, proofIntervalMs: 600_000 } });
    const port = await silentPort(t);
    for (let i = 0; i < 40; i++) add(`${i}`, at(port));
    await eventually(() => assert.equal(connections.size, 16));
    await delay(1000);
    assert.equal(connections.size, 16);
  });

  test('of agents that were tried before are not forgotten over new ones', async (t) => {
    const { told, add } = scene(t, { limits: { dialTimeoutMs: 5000, proofIntervalMs: 300 } });
    const agent = await listen(t);
    add('old', at(agent.port));
    await eventually(() => assert.equal(told.length, 1));
    let last = 0;
    const come = setInterval(() => {
      for (let i = 0; i < 20; i++) add(`new ${last++}`, at(agent.port));
    }, 100);
    t.after(() => clearInterval(come));
    await eventually(() => assert.ok(told.filter(([id]) => id === 'old').length > 2, 'it came again'));
  });

  test('are none without room for a connection', async (t) => {
    const { told, add, connections } = scene(t);
    connections.max = 0;
    const agent = await listen(t);
    add('a', at(agent.port));
    await delay(400);
    assert.deepEqual(told, []);
    assert.equal(agent.came, 0);
  });
});

describe('a relay’s dial', PATIENCE, () => {
  test('is told at once, and stands for a proof', async (t) => {
    const { told, add, prover, registration } = scene(t, { limits: { dialTimeoutMs: 5000, proofIntervalMs: 60_000 } });
    const agent = await listen(t);
    add('a', at(agent.port));
    prover.noteDial('a', registration, null);
    assert.deepEqual(told, [['a', null]]);
    prover.noteDial('a', {}, 'of another registration');
    prover.noteDial('nobody', registration, 'of none');
    await delay(400);
    assert.deepEqual(told, [['a', null]]);
    assert.equal(agent.came, 0);
  });
});
