/** Many relays at once through a hub that has joined another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { eventually } from '../support/measure.ts';

const RELAYS = 300;

test('hundreds of relays that are opened at once are all served', { timeout: 120_000 }, async (t) => {
  const start = async (options: HypivisorOptions) => {
    const limits = { dialTimeoutMs: 30_000, maxDialsPerAddress: RELAYS };
    const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', home: '/nonexistent', limits, ...options });
    const { port } = await hypivisor.listen();
    t.after(() => hypivisor.close());
    return { hypivisor, registryUrl: `ws://127.0.0.1:${port}/ws` };
  };
  const upper = await start({});
  const lower = await start({ join: [{ url: upper.registryUrl }], hubName: 'lower' });
  const agent = await Agent.serve();
  t.after(() => agent.stop());
  await agent.register(lower.registryUrl, 'agent');
  const reach = () => upper.hypivisor.nodes[0]?.reach;
  await eventually(() => assert.equal(reach(), 'direct'), 30_000);
  await Promise.all(
    Array.from({ length: RELAYS }, async (_, i) => {
      const client = await Client.open(`${upper.registryUrl}/agent/agent`, [], { handshakeTimeout: 60_000 });
      t.after(() => client.terminate());
      client.socket.send(`client ${i}`);
      assert.equal(String((await client.next(60_000)).payload), `client ${i}`);
    }),
  );
  assert.equal(reach(), 'direct', 'and the way stays proven');
});
