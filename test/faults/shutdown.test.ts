/** The daemon is told to go while a relay or a registry connection is at some stage, with a peer that may have fallen silent. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { createHypivisor, type Hypivisor } from 'hypivisor';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';
import { converse, type Leg, type Stage, type Told } from './conversation.ts';
import { AGENT_STAGES, toldOf } from './registration.ts';

/** Long enough for who answers, short enough for a test with somebody who does not. */
const LIMITS = { drainTimeoutMs: 700 };
const TOGETHER = { concurrency: 16, timeout: 60_000 };

const CUT: Told = ['end'];
const GOING_AWAY: Told = [1001, 'end'];

/** The rows "The daemon shuts down" of ARCHITECTURE.md, "Every way a connection ends". */
const RELAYS: [stage: Stage, told: Record<Leg, Told>][] = [
  ['before the head', { client: CUT, agent: [] }],
  ['in the head', { client: CUT, agent: [] }],
  ['between the handshakes', { client: CUT, agent: CUT }],
  ['in the agent’s answer', { client: CUT, agent: CUT }],
  ['open', { client: GOING_AWAY, agent: GOING_AWAY }],
  // "inside a frame there is only the FIN", and none after a close frame that has passed.
  ['in the client’s frame', { client: GOING_AWAY, agent: CUT }],
  ['in the agent’s frame', { client: CUT, agent: GOING_AWAY }],
  ['closing, the client first', { client: GOING_AWAY, agent: CUT }],
  ['closing, the agent first', { client: CUT, agent: GOING_AWAY }],
];

async function start(t: TestContext): Promise<{ hypivisor: Hypivisor; port: number; faults: unknown[] }> {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', limits: LIMITS });
  t.after(() => hypivisor.close());
  const faults: unknown[] = [];
  hypivisor.on('fault', (error) => faults.push(error));
  const { port } = await hypivisor.listen();
  return { hypivisor, port, faults };
}

describe('a relay while the daemon goes', TOGETHER, () => {
  for (const [stage, expected] of RELAYS) {
    for (const mute of [null, 'client', 'agent'] as const) {
      test(`${stage}${mute === null ? '' : `, the ${mute} silent`}`, async (t) => {
        const { hypivisor, port, faults } = await start(t);
        const { conversation, proxies } = await converse(t, port, 'a');
        await conversation.reach(stage);
        if (mute !== null && conversation[mute] !== null) {
          await proxies[mute].inject('mute', conversation[mute]?.socket.bytesWritten);
        }
        const closed = hypivisor.close();
        const [client, agent] = await Promise.all([conversation.told('client'), conversation.told('agent')]);
        assert.deepEqual({ client, agent }, expected);
        await closed;
        assert.equal(hypivisor.counters.connections, 0);
        assert.deepEqual(faults, []);
      });
    }
  }
});

describe('a registry connection while the daemon goes', TOGETHER, () => {
  for (const stage of AGENT_STAGES) {
    test(`${stage.name}, and the peer never answers`, async (t) => {
      const { hypivisor, port, faults } = await start(t);
      const peer = await RawPeer.connect(port, { allowHalfOpen: true });
      t.after(() => peer.socket.destroy());
      const params = { id: 'a', machine: '127.0.0.1', cwd: '/', port: 1, status: 'active' };
      await stage.reach(peer, clientFrame(TEXT, JSON.stringify({ id: 'register', method: 'register', params })));
      const closed = hypivisor.close();
      const saidGoodbye = stage.upgraded && stage.name !== 'in the closing handshake';
      assert.deepEqual(await toldOf(peer, stage), saidGoodbye ? GOING_AWAY : CUT);
      await closed;
      assert.equal(hypivisor.counters.connections, 0);
      assert.deepEqual(faults, []);
    });
  }
});
