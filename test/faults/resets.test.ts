/** Ten thousand resets, at every stage of a relay and of a registry connection: the daemon is as it was before. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ProgressLine } from '../fuzz/progress-line.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint, inLanes } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { Conversation, type Leg, STAGES, type Stage, WaitingAgent } from './conversation.ts';

const MEBIBYTE = 1024 * 1024;
const RESETS = 10_000;
const LANES = 24;

/** What the daemon may have grown by: its heap's room for garbage, not what 10,000 connections would hold. */
const MAX_GROWN_BYTES = 48 * MEBIBYTE;

/** An agent that one reset after the other goes to. */
interface Lane {
  agents: WaitingAgent;
  nodeId: string;
}

const RELAY_CASES: [stage: Stage, leg: Leg][] = STAGES.flatMap((stage, i): [Stage, Leg][] =>
  i < STAGES.indexOf('at the dial')
    ? [[stage, 'client']]
    : [
        [stage, 'client'],
        [stage, 'agent'],
      ],
);

const REGISTRY_CASES = ['before its request', 'after its request', 'in a frame', 'registered'] as const;

test('10,000 resets: no death, no fault, no descriptor left, and it answers all the while', {
  timeout: 120_000,
}, async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop('SIGKILL'));
  const lanes = await Promise.all(Array.from({ length: LANES }, (_, i) => openLane(t, daemon, `lane-${i}`)));
  const progress = new ProgressLine('resets', RESETS);
  const run = async (from: number, to: number) => {
    await inLanes(to - from, LANES, async (round) => {
      const lane = lanes.pop() as Lane;
      await resetOnce(daemon, lane, from + round);
      lanes.push(lane);
      progress.show(from + round);
    });
    await eventually(async () => assert.equal((await footprint(daemon.pid)).descriptors, before.descriptors));
  };
  const before = await footprint(daemon.pid);
  let slowestMs = 0;
  const asking = setInterval(async () => {
    const began = performance.now();
    const response = await fetch(`${daemon.origin}/healthz`);
    assert.equal(response.status, 200);
    await response.text();
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }, 100);
  t.after(() => clearInterval(asking));
  const began = performance.now();
  // The first thousand warm up what is measured: pages of the heap, compiled code.
  await run(0, 1000);
  const warm = await footprint(daemon.pid);
  await run(1000, RESETS);
  clearInterval(asking);
  progress.clear();
  const seconds = (performance.now() - began) / 1000;
  const after = await footprint(daemon.pid);
  const grownBytes = after.residentBytes - warm.residentBytes;
  t.diagnostic(
    `${RESETS} resets in ${seconds.toFixed(1)} s; descriptors ${before.descriptors} before, ${after.descriptors} after; ` +
      `RSS ${mebibytes(warm.residentBytes)} after 1,000, ${mebibytes(after.residentBytes)} after all; ` +
      `/healthz within ${Math.round(slowestMs)} ms`,
  );
  assert.ok(grownBytes < MAX_GROWN_BYTES, `grown by ${mebibytes(grownBytes)}`);
  assert.equal(daemon.process.exitCode, null);
  assert.doesNotMatch(daemon.stderr, /"level":"error"|Warning/);
  const dashboard = await Client.open(daemon.registryUrl);
  const { nodes } = await dashboard.nextJson();
  const ids = nodes.map(({ id }: { id: string }) => id).filter((id: string) => id.startsWith('lane-'));
  assert.equal(new Set(ids).size, LANES);
  dashboard.terminate();
  assert.equal(await daemon.stop('SIGTERM'), 0);
});

async function openLane(t: TestContext, daemon: Daemon, nodeId: string): Promise<Lane> {
  const agents = await WaitingAgent.serve();
  const uplink = await Client.open(daemon.registryUrl);
  t.after(async () => {
    uplink.terminate();
    await agents.stop();
  });
  const params = { id: nodeId, machine: '127.0.0.1', cwd: '/', port: agents.port, status: 'active' };
  assert.deepEqual((await uplink.call('register', params)).result, { status: 'registered' });
  return { agents, nodeId };
}

async function resetOnce(daemon: Daemon, lane: Lane, round: number): Promise<void> {
  const at = round % (RELAY_CASES.length + REGISTRY_CASES.length);
  const relayCase = RELAY_CASES[at];
  if (relayCase !== undefined) await resetRelay(daemon, lane, ...relayCase);
  else await resetRegistry(daemon, round, REGISTRY_CASES[at - RELAY_CASES.length]);
}

async function resetRelay(daemon: Daemon, { agents, nodeId }: Lane, stage: Stage, leg: Leg): Promise<void> {
  const conversation = new Conversation(daemon.port, nodeId, agents);
  await conversation.reach(stage);
  conversation[leg]?.socket.resetAndDestroy();
  const other = leg === 'client' ? 'agent' : 'client';
  // It is told, one way or the other.
  await conversation.told(other);
  conversation[other]?.socket.destroy();
}

async function resetRegistry(daemon: Daemon, round: number, stage: (typeof REGISTRY_CASES)[number] | undefined) {
  const peer = await RawPeer.connect(daemon.port);
  if (stage !== 'before its request') peer.socket.write(upgradeRequest('/ws'));
  if (stage === 'in a frame' || stage === 'registered') {
    await peer.head();
    // Always in the same place, so that the roster does not grow.
    const params = { id: `reset-${round}`, machine: '127.0.0.1', cwd: '/', port: 1, status: 'active' };
    const register = clientFrame(TEXT, JSON.stringify({ id: 'register', method: 'register', params }));
    peer.socket.write(stage === 'registered' ? register : register.subarray(0, 30));
    if (stage === 'registered') for (let id: unknown; id !== 'register'; ) ({ id } = await peer.json());
  }
  peer.socket.resetAndDestroy();
}

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}
