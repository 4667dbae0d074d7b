import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Load } from '../../bench/load/process.ts';
import { stopProcesses } from '../../bench/processes.ts';
import { netBroadcast, ourBroadcast } from '../../bench/subjects/broadcast.ts';
import { agentNodes, ourRegistry, startWithAgents, wsRegistry } from '../../bench/subjects/registry.ts';
import { killServer } from '../../bench/subjects/server.ts';
import { peerVersion } from '../../bench/subjects/versions.ts';

const WINDOW = { warmUpMs: 20, windowMs: 400 };

describe('the loads of a registry', () => {
  afterEach(stopProcesses);

  for (const { name, start, driver } of [ourBroadcast, netBroadcast]) {
    it(`drive events, and all dashboards get all of them (${name})`, async () => {
      const load = new Load();
      const server = await start();
      const { port } = server;
      await load.tell('watch', { port, connections: 3 });
      const pids = await server.pids();
      const counted = await load.tell('drive', { port, ...driver, eventsPerWrite: 4, pids, ...WINDOW });
      assert.ok(counted.work > 0 && counted.cpuSeconds > 0 && (counted.p50Ms ?? 0) > 0);
    });
  }

  it('come as a storm that all are told of, and again once the server is another', async () => {
    const load = new Load();
    const server = await ourRegistry.start();
    const { port } = server;
    const nodes = agentNodes(20);
    await load.tell('watch', { port, connections: 2 });
    const first = await load.tell('storm', { port, nodes, atATime: 4, pids: await server.pids() });
    assert.deepEqual([first.work, first.secondInits], [20, 0]);
    await load.tell('letEnd', undefined);
    await killServer(server);
    const again = await ourRegistry.start(port);
    const options = { port, nodes, dashboards: 3, atATime: 23, pids: await again.pids() };
    const second = await load.tell('storm', options);
    assert.deepEqual([second.work, second.secondInits], [20, 0]);
  });

  it('come and go, agents as well as dashboards', async () => {
    const load = new Load();
    const server = await startWithAgents(ourRegistry, 10);
    const { port } = server;
    const counting = { port, pids: await server.pids(), atATime: 2, ...WINDOW };
    assert.ok((await load.tell('churn', counting)).work > 0);
    assert.ok((await load.tell('visit', { ...counting, nodes: 10 })).work > 0);
    assert.equal((await load.tell('arrive', { port, connections: 3, nodes: 10, pids: counting.pids })).work, 3);
    await load.tell('settle', { activeNodes: 10 });
    const wrong = { port, connections: 3, nodes: 11, pids: counting.pids };
    await assert.rejects(load.tell('arrive', wrong), { name: 'WrongAnswer', message: /10 nodes, not 11/ });
  });

  it('sample a storm if a whole one takes too long', async () => {
    // The bench's own first run installs its peers.
    if ((await peerVersion('ws')) === null) return;
    const load = new Load();
    const server = await wsRegistry.start();
    const { port } = server;
    await load.tell('watch', { port, connections: 2 });
    const pids = await server.pids();
    const storm = await load.tell('sampledStorm', { port, nodes: agentNodes(1000), samples: 10, pids });
    assert.equal(storm.work, 1000);
    assert.equal(storm.costs.length, 1);
    // Each of the thousand gets the roster of about five hundred, and at once so many a push.
    assert.ok(storm.bytes > 1000 * 500 * 200, String(storm.bytes));
  });
});
