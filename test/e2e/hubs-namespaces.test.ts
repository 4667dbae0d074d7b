/** Hubs on machines of their own: a server, and two laptops behind NAT that have joined it, one of them through TLS. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { registryUrl } from '../../src/protocol/url.ts';
import { whyNoCertificate } from '../support/certificate.ts';
import type { Json } from '../support/client.ts';
import { HubMachines, idAt, LAPTOPS, nodesAsShown, sleepsFor } from '../support/hub-machines.ts';
import { eventually } from '../support/measure.ts';
import { whyNoNamespaces } from '../support/namespaces.ts';

const PATIENCE_MS = 60_000;
const SLOW = { timeout: 400_000 };

async function whyNot(): Promise<string | false> {
  try {
    await promisify(execFile)('nginx', ['-v']);
  } catch {
    return 'nginx is not installed';
  }
  return (await whyNoCertificate()) || whyNoNamespaces();
}

const why = await whyNot();

describe('hubs on laptops behind NAT, one through a TLS proxy', { skip: why, ...SLOW }, () => {
  let hubs: HubMachines;

  before(async () => {
    hubs = await HubMachines.create();
  });

  after(() => hubs?.remove());

  test('a dashboard at the hub above sees every agent, with its machine, on a proven way', async () => {
    await eventually(async () => assert.deepEqual(nodesAsShown((await hubs.seen()).nodes), ALL_PROVEN), PATIENCE_MS);
    const { result } = await hubs.ask('list_nodes');
    assert.deepEqual(nodesAsShown(result), ALL_PROVEN);
  });

  test('a dashboard on a laptop sees the agents of that laptop, as ever', async () => {
    for (const laptop of LAPTOPS) {
      const { result } = await hubs.askLocal(laptop, 'list_nodes');
      assert.deepEqual(
        nodesAsShown(result).map(({ kind }) => kind),
        ['back', 'pi', 'plain'],
      );
      for (const id of ['back', 'plain']) assert.equal(await hubs.sayLocal(laptop, id), `${id} of ${laptop}: hello`);
    }
  });

  test('each is reached from above, and none for another of the same id', async () => {
    const { nodes } = await hubs.seen();
    for (let round = 0; round < 2; round++) {
      for (const laptop of LAPTOPS) {
        for (const kind of ['back', 'plain']) {
          assert.equal(await hubs.say(idAt(nodes, laptop, kind)), `${kind} of ${laptop}: hello`);
        }
      }
    }
  });

  test('the extension answers from behind NAT and through TLS', async () => {
    const { nodes } = await hubs.seen();
    for (const laptop of LAPTOPS) {
      assert.deepEqual(await hubs.chat(idAt(nodes, laptop, 'pi'), 'hello there'), ['You said: hello there']);
    }
  });

  test('many at once', async () => {
    const { nodes } = await hubs.seen();
    const ids = LAPTOPS.flatMap((laptop) => ['back', 'plain'].map((kind) => [idAt(nodes, laptop, kind), kind, laptop]));
    const said = await Promise.all(Array.from({ length: 40 }, (_, i) => hubs.say(ids[i % 4]?.[0] as string)));
    said.forEach((message, i) => {
      const [, kind, laptop] = ids[i % 4] as string[];
      assert.equal(message, `${kind} of ${laptop}: hello`);
    });
  });

  test('the machines are known, and each lists its own folders', async () => {
    const features = ['roster', 'relay', 'spawn'];
    // What a machine says of itself comes a little later than its agents.
    await eventually(async () => {
      const { result } = await hubs.ask('list_machines');
      const [here, ...others] = result as Json[];
      assert.equal(here.here, true);
      const shown = others.map(({ name, nodes, status, features }: Json) => ({ name, nodes, status, features }));
      assert.deepEqual(
        shown.sort((a, b) => (a.name < b.name ? -1 : 1)),
        LAPTOPS.map((name) => ({ name, nodes: 3, status: 'connected', features })),
      );
    }, PATIENCE_MS);
    for (const laptop of LAPTOPS) {
      const { result: listed } = await hubs.ask('list_directories', { machine: laptop });
      assert.equal(listed.current, hubs.daemons.get(hubs.laptops[laptop])?.home);
    }
    assert.match((await hubs.ask('list_directories', { machine: 'nobody' })).error, /^No machine called nobody/);
  });

  test('a hub on a laptop tells the state of its link', async () => {
    for (const laptop of LAPTOPS) {
      const { result } = await hubs.askLocal(laptop, 'list_machines');
      const [here] = result as Json[];
      assert.equal(here.up.length, 1);
      assert.equal(here.up[0].status, 'joined');
      assert.doesNotMatch(JSON.stringify(result), /a token/);
    }
  });

  test('the hub above is killed and comes back: so do all, unasked', async () => {
    await hubs.daemons.get(hubs.server)?.stop('SIGKILL');
    await hubs.startUpper();
    await hubs.watch();
    await eventually(async () => assert.deepEqual(nodesAsShown((await hubs.seen()).nodes), ALL_PROVEN), PATIENCE_MS);
    const { nodes } = await hubs.seen();
    for (const laptop of LAPTOPS) {
      assert.equal(await hubs.say(idAt(nodes, laptop, 'plain')), `plain of ${laptop}: hello`);
    }
  });

  test('an agent that its own hub cannot reach: the roster above says why, and a relay at which hop', async () => {
    const url = registryUrl(hubs.localOrigin, null);
    const peer = hubs.laptops['laptop-a'].startPeer();
    const port = await peer.call('serve', { says: 'nobody', host: '127.0.0.1' });
    await peer.call('register', { registryUrl: url, port, shownPort: 1, id: 'deaf', machine: 'localhost' });
    const sentence = 'Cannot reach agent: connection refused';
    await eventually(async () => {
      const node = (await hubs.seen()).nodes.find(({ id }) => id === 'deaf');
      assert.deepEqual([node?.hub, node?.reach, node?.reach_error], ['laptop-a', 'unproven', sentence]);
    }, PATIENCE_MS);
    assert.equal(JSON.parse(await hubs.say('deaf')).error, `${sentence} (at laptop-a)`);
    assert.equal(JSON.parse(await hubs.sayLocal('laptop-a', 'deaf')).error, sentence);
  });
});

describe('a laptop that falls asleep, with short limits', { skip: why, ...SLOW }, () => {
  let hubs: HubMachines;

  before(async () => {
    hubs = await HubMachines.create({ limits: { pingIntervalMs: 1500, hubTtlMs: 45_000 } });
    await eventually(async () => assert.deepEqual(nodesAsShown((await hubs.seen()).nodes), ALL_PROVEN), PATIENCE_MS);
  });

  after(() => hubs?.remove());

  test('for a moment: its agents are unproven meanwhile, and none of them leaves', async () => {
    await sleepsFor(hubs, { forAtLeastMs: 0, until: 'unproven', patienceMs: PATIENCE_MS });
  });

  test('for longer: its agents leave, and come back with it', async () => {
    await sleepsFor(hubs, { forAtLeastMs: 0, until: 'gone', patienceMs: 2 * PATIENCE_MS });
  });

  test('and its link is cut while it is awake: the way is found again by itself', async () => {
    const laptop = hubs.laptops['laptop-a'];
    laptop.link?.kill('SIGSTOP');
    await eventually(async () => {
      const { nodes } = await hubs.seen();
      assert.ok(
        nodes.every(({ hub, reach }) => (hub === 'laptop-a') === (reach === 'unproven')),
        'unproven',
      );
    }, PATIENCE_MS);
    await delay(1000);
    laptop.link?.kill('SIGCONT');
    await eventually(async () => assert.deepEqual(nodesAsShown((await hubs.seen()).nodes), ALL_PROVEN), PATIENCE_MS);
  });
});

const ALL_PROVEN = LAPTOPS.flatMap((hub) => [
  { hub, kind: 'back', reach: 'dial-back', status: 'active' },
  { hub, kind: 'pi', reach: 'direct', status: 'active' },
  { hub, kind: 'plain', reach: 'direct', status: 'active' },
]);
