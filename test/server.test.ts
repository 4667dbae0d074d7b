/** The daemon as an embedder has it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createHypivisor, type Hypivisor, type HypivisorOptions } from '../src/server.ts';
import { Client } from './support/client.ts';
import { eventually } from './support/measure.ts';
import { BINARY, clientFrame, RawAgent, RawPeer, TEXT, upgradeRequest, upgradeResponse } from './support/raw-peer.ts';

async function embed(t: TestContext, options: HypivisorOptions = {}): Promise<Hypivisor> {
  const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  const hypivisor = createHypivisor({ port: 0, home, ...options });
  t.after(async () => {
    await hypivisor.close();
    await rm(home, { recursive: true, force: true });
  });
  return hypivisor;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listen(t: TestContext, options: HypivisorOptions = {}): Promise<{ hypivisor: Hypivisor; url: string }> {
  const hypivisor = await embed(t, options);
  const { port } = await hypivisor.listen();
  return { hypivisor, url: `ws://127.0.0.1:${port}/ws` };
}

const node = (id: string, port: number) => ({ id, machine: '127.0.0.1', cwd: '/', port, status: 'active' });

test('listening twice is refused, and the first goes on', async (t) => {
  const { hypivisor, url } = await listen(t);
  const { address } = hypivisor;
  await assert.rejects(hypivisor.listen(), /listening already/);
  assert.deepEqual(hypivisor.address, address);
  const client = await Client.open(url);
  assert.equal((await client.nextJson()).event, 'init');
  await client.close();
});

test('closed while it is about to listen, it does not listen', async (t) => {
  const hypivisor = await embed(t);
  const listening = assert.rejects(hypivisor.listen(), /closed before/);
  await hypivisor.close();
  await listening;
  assert.equal(hypivisor.address, null);
});

for (const wanted of ['a port of its own', 'any free port']) {
  test(`closed while it is about to listen on ${wanted}, and told to listen again: only the second listens`, async (t) => {
    const hypivisor = await embed(t, { port: wanted === 'any free port' ? 0 : await freePort() });
    const first = assert.rejects(hypivisor.listen(), /closed before/);
    const closed = hypivisor.close();
    const second = await hypivisor.listen();
    await Promise.all([first, closed]);
    assert.deepEqual(hypivisor.address, second);
    const client = await Client.open(`ws://127.0.0.1:${second.port}/ws`);
    await client.close();
    await hypivisor.close();
    assert.equal(hypivisor.address, null);
    const listening = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap');
    await eventually(() => assert.deepEqual(listening(), [], 'nothing listens any more'));
  });
}

test('told to listen while it closes, it ends what was open first, and then takes the same port', async (t) => {
  const hypivisor = await embed(t, { port: await freePort() });
  const { port } = await hypivisor.listen();
  const client = await Client.open(`ws://127.0.0.1:${port}/ws`);
  void hypivisor.close();
  const again = hypivisor.listen();
  assert.equal((await client.closed).code, 1001);
  assert.equal((await again).port, port);
});

test('it sets no memory apart in the process of an embedder', async () => {
  // In a process of its own: what is to be seen happens once a process.
  const program = `
    import { createHypivisor } from 'hypivisor';
    const hypivisor = createHypivisor({ port: 0, home: '/nowhere' });
    const before = process.memoryUsage().arrayBuffers;
    await hypivisor.listen();
    console.log(process.memoryUsage().arrayBuffers - before);
    await hypivisor.close();`;
  const root = new URL('..', import.meta.url);
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { cwd: root });
  const printed = (await child.stdout.toArray()).join('');
  assert.match(printed, /^-?\d+\n$/);
  assert.ok(Number(printed) < 8 * 1024 * 1024, `${printed} bytes`);
});

test('closing twice, and before listening, does nothing', async (t) => {
  const hypivisor = await embed(t);
  await hypivisor.close();
  await Promise.all([hypivisor.close(), hypivisor.close()]);
});

test('it listens again after it was closed, and what was offline still expires', async (t) => {
  const { hypivisor, url } = await listen(t, { nodeTtlMs: 2000 });
  const agent = await Client.open(url);
  await agent.call('register', node('a', 4001));
  await hypivisor.close();
  assert.equal(hypivisor.nodes[0]?.status, 'offline');
  await hypivisor.listen();
  await eventually(() => assert.deepEqual(hypivisor.nodes, [], 'expired'));
});

test('what a listener throws is told as a fault, and costs the client nothing', async (t) => {
  const { hypivisor, url } = await listen(t, { nodeTtlMs: 50 });
  const faults: unknown[] = [];
  hypivisor.on('fault', (error) => faults.push((error as Error).message));
  hypivisor.on('roster', ({ event }) => {
    throw new Error(`at ${event}`);
  });
  const agent = await Client.open(url);
  assert.deepEqual((await agent.call('register', node('a', 4001))).result, { status: 'registered' });
  agent.terminate();
  await eventually(() => assert.deepEqual(faults, ['at node_joined', 'at node_offline', 'at node_removed'], 'told'));
  assert.deepEqual(hypivisor.nodes, []);
});

test('a chunk full of requests for a large roster holds up no other client', async (t) => {
  const { url } = await listen(t);
  const agents = await Promise.all(Array.from({ length: 200 }, () => Client.open(url)));
  await Promise.all(
    agents.map((agent, i) => agent.call('register', { ...node(`n${i}`, 1000 + i), cwd: 'x'.repeat(3000) })),
  );
  const greedy = net.connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => greedy.destroy());
  greedy.write(upgradeRequest('/ws'));
  const other = await Client.open(url);
  // 1,000 rosters of 600 KB: in one turn of the event loop they would take seconds.
  const request = clientFrame(TEXT, Buffer.from('{"method":"list_nodes"}'));
  greedy.resume();
  greedy.write(Buffer.concat(Array.from({ length: 1000 }, () => request)));
  await delay(10);
  for (let pings = 0; pings < 6; pings++) assert.equal((await other.call('ping')).result.status, 'healthy');
  // What the greedy one has read, and what the daemon, being in this process, holds for it.
  const answeredBytes = greedy.bytesRead + process.memoryUsage().arrayBuffers;
  assert.ok(answeredBytes < 1000 * 600_000, `${answeredBytes} bytes answered meanwhile`);
  greedy.destroy();
  await Promise.all([...agents, other].map((client) => client.close()));
});

const cannotFree = !('transfer' in ArrayBuffer.prototype) && 'this Node frees no chunk';

test('what comes in one full read with a relay’s request reaches the agent as it was', {
  skip: cannotFree,
}, async (t) => {
  const { url } = await listen(t);
  let open = () => {};
  const opening = new Promise<void>((resolve) => {
    open = resolve;
  });
  const payload = randomBytes(128 * 1024);
  let arrived: Buffer | undefined;
  const agent = await RawAgent.serve(async (peer) => {
    const head = await peer.head();
    await opening;
    peer.socket.write(upgradeResponse(head));
    arrived = (await peer.frame()).payload;
  });
  t.after(() => agent.stop());
  const uplink = await Client.open(url);
  await uplink.call('register', node('a', agent.port));
  const client = await RawPeer.connect(Number(new URL(url).port));
  client.socket.write(Buffer.concat([Buffer.from(upgradeRequest('/ws/agent/a')), clientFrame(BINARY, payload)]));
  await eventually(() => assert.equal(agent.peers.length, 1));
  open();
  await eventually(() => assert.ok(arrived?.equals(payload), 'as it was'));
  for (const { socket } of [client, ...agent.peers]) socket.destroy();
  await uplink.close();
});

test('an agent that names no machine is not looked up', async (t) => {
  const { hypivisor, url } = await listen(t);
  const reasons: string[] = [];
  hypivisor.on('relayRefused', ({ reason }) => reasons.push(reason));
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const agent = await Client.open(url);
  await agent.call('register', { ...node('a', 4001), machine: '' });
  const client = await Client.open(`${url}/agent/a`);
  assert.match((await client.nextJson()).error, /^Cannot resolve agent/);
  await client.closed;
  await agent.close();
  assert.equal(reasons.length, 1);
  assert.deepEqual(warnings, []);
});

test('output of agents is kept within its bounds, from the start and from time to time, until it is closed', async (t) => {
  const outputDirectory = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(outputDirectory, { recursive: true, force: true }));
  const write = async (uuid: string, processId: number, bytes: number, ageMs: number) => {
    const path = join(outputDirectory, `agent-${processId}-${uuid.repeat(36)}.log`);
    await writeFile(path, 'x'.repeat(bytes));
    const writtenAt = (Date.now() - ageMs) / 1000;
    await utimes(path, writtenAt, writtenAt);
    return path;
  };
  const ended = spawn('true');
  await once(ended, 'exit');
  const endedId = ended.pid as number;
  const old = await write('a', endedId, 100, 60_000);
  const young = await write('b', endedId, 100, 0);
  const [within, above] = [await write('c', process.pid, 100, 0), await write('d', process.pid, 101, 0)];
  const limits = { maxOutputBytes: 100, outputCheckIntervalMs: 30, outputRetentionMs: 30_000 };
  const { hypivisor } = await listen(t, { outputDirectory, limits });
  await eventually(() => assert.rejects(stat(old), { code: 'ENOENT' }));
  const sizes = async () => Promise.all([young, within, above].map(async (path) => (await stat(path)).size));
  assert.deepEqual(await sizes(), [100, 100, 0]);
  await appendFile(within, 'x');
  await eventually(async () => assert.deepEqual(await sizes(), [100, 0, 0]));
  await hypivisor.close();
  await appendFile(above, 'x'.repeat(101));
  await delay(100);
  assert.deepEqual(await sizes(), [100, 0, 101]);
});

test('a folder for output that cannot be read is told once, however often it is looked at', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const outputDirectory = join(folder, 'file');
  await writeFile(outputDirectory, '');
  const { hypivisor } = await listen(t, { outputDirectory, limits: { outputCheckIntervalMs: 10 } });
  const told: unknown[] = [];
  hypivisor.on('warning', (sentence) => told.push(sentence));
  hypivisor.on('fault', (error) => told.push(error));
  await eventually(() => assert.equal(told.length, 1));
  await delay(100);
  assert.equal(told.length, 1);
  assert.equal(told[0], `Cannot tend the agents' output: not a directory (${outputDirectory})`);
});

test('a port in use is told, and leaves nothing open', async (t) => {
  const blocker = net.createServer().listen(0, '127.0.0.1');
  t.after(() => blocker.close());
  await eventually(() => assert.ok(blocker.listening, 'listening'));
  const { port } = blocker.address() as net.AddressInfo;
  const hypivisor = await embed(t, { port });
  await assert.rejects(hypivisor.listen(), { code: 'EADDRINUSE' });
  assert.equal(hypivisor.address, null);
});
