import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Load } from '../../bench/load/process.ts';
import { stopProcesses } from '../../bench/processes.ts';
import { netEcho } from '../../bench/subjects/echo.ts';
import { startHypivisor, startHypivisorBefore } from '../../bench/subjects/hypivisor.ts';

const WINDOW = { warmUpMs: 20, windowMs: 400, pids: [process.pid] };
const PATTERN = { payloadBytes: [100, 2000], messagesPerWrite: 2 };

describe('the processes of a load', () => {
  afterEach(stopProcesses);

  it('go round, each message checked, through a relay to agents that answer', async () => {
    const [agents, clients] = [new Load(), new Load()];
    const ports = await agents.tell('serve', { agents: 2, answers: true, pattern: PATTERN });
    const { port, paths, pids } = await startHypivisorBefore(ports);
    await clients.tell('connect', { port, paths, connections: 4, pattern: PATTERN });
    const counted = await clients.tell('roundTrips', { ...WINDOW, pids: await pids() });
    assert.ok(counted.work > 0 && counted.cpuSeconds > 0 && counted.seconds > 0);
    assert.ok((counted.p50Ms ?? 0) > 0 && (counted.p99Ms ?? 0) >= (counted.p50Ms ?? 0));
    assert.ok(counted.bytes >= counted.work * 100);
  });

  it('are echoed by the yardstick', async () => {
    const pattern = { payloadBytes: [20, 125], messagesPerWrite: 16 };
    const clients = new Load();
    const { port, pids } = await netEcho.start();
    await clients.tell('connect', { port, paths: ['/'], connections: 4, pattern });
    const counted = await clients.tell('roundTrips', { ...WINDOW, pids: await pids() });
    assert.ok(counted.work > 0 && counted.cpuSeconds > 0);
  });

  it('pour, paced or not, and count what arrives', async () => {
    for (const pace of [{}, { writesPerSecond: 100 }]) {
      const [agents, clients] = [new Load(), new Load()];
      const ports = await agents.tell('serve', { agents: 1, answers: false, pattern: PATTERN });
      const connecting = { port: ports[0] as number, paths: ['/'], connections: 2, pattern: PATTERN };
      await clients.tell('connect', connecting);
      await agents.tell('pour', pace);
      const counted = await clients.tell('count', WINDOW);
      assert.ok(counted.work > 0);
      await stopProcesses();
    }
  });

  it('tell a wrong answer from every other fault', async () => {
    const [agents, clients] = [new Load(), new Load()];
    const wrong = { payloadBytes: [99], messagesPerWrite: 2 };
    const ports = await agents.tell('serve', { agents: 1, answers: true, pattern: wrong, expect: PATTERN });
    const connecting = { port: ports[0] as number, paths: ['/'], connections: 1, pattern: PATTERN };
    await clients.tell('connect', connecting);
    await assert.rejects(clients.tell('roundTrips', WINDOW), { name: 'WrongAnswer', message: /100 bytes expected/ });
    const nobody = { ...connecting, port: 1 };
    await assert.rejects(new Load().tell('connect', nobody), { name: 'Error', message: /ECONNREFUSED/ });
  });

  it('watch a roster, all of them the same of it', async () => {
    const { port } = await startHypivisor();
    const [agents, dashboards] = [new Load(), new Load()];
    await dashboards.tell('watch', { port, connections: 3 });
    const nodes = Array.from({ length: 5 }, (_, i) => ({ id: `n${i}`, port: 1000 + i }));
    await agents.tell('register', { port, nodes });
    await dashboards.tell('settle', { activeNodes: 5 });
    const { work } = await dashboards.tell('count', { ...WINDOW, warmUpMs: 0 });
    assert.equal(work, 0, 'nothing is pushed where nothing happens');
  });
});
