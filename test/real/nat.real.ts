import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { Network, whyNoNamespaces } from '../support/namespaces.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { PIS } from './pis.ts';

const run = promisify(execFile);
const withoutNamespaces = await whyNoNamespaces();

/** Nothing comes in that was not asked for, as behind NAT. */
const FIREWALL = `
table inet nat {
  chain in {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif "lo" accept
  }
}
`;

describe('a pi behind NAT', { timeout: 120_000, skip: withoutNamespaces }, () => {
  for (const pi of PIS.slice(-1)) {
    it(`pi ${pi.version} is reached over connections that it opens, and has no port open to any network`, async (t) => {
      const network = await Network.create();
      t.after(() => network.remove());
      const server = await network.addMachine('server');
      const laptop = await network.addMachine('laptop');
      const desk = await network.addMachine('desk');
      const filter = ['netns', 'exec', laptop.namespace, 'nft', '-f', '-'];
      const firewall = run('ip', filter);
      firewall.child.stdin?.end(FIREWALL);
      await firewall.catch(() => t.diagnostic('no nft: nothing but its being on loopback keeps its port closed'));

      const daemon = await Daemon.start({
        launcher: server.launcher,
        host: server.address,
        env: { HYPI_TOKEN: 'secret' },
      });
      t.after(() => daemon.stop());
      const home = await Home.create('http://127.0.0.1:1/v1');
      t.after(() => home.remove());
      const environment = { HYPIVISOR_WS: daemon.registryUrl, HYPI_TOKEN: 'secret' };
      const headless = new HeadlessPi(pi, home, environment, [], undefined, laptop.launcher);
      t.after(() => headless.quit());

      const dashboard = desk.startPeer();
      const nodes = async (): Promise<Node[]> => {
        const { message } = await dashboard.call('say', { relayUrl: `${daemon.registryUrl}?token=secret`, text: '{}' });
        return (JSON.parse(message) as { nodes: Node[] }).nodes;
      };
      let node: Node | undefined;
      while (node?.reach !== 'dial-back') {
        [node] = await nodes();
        await sleep(100);
      }
      const relayUrl = `${daemon.relayUrl(node.id)}?token=secret`;
      // Three in a row: one may be waiting, the others are asked for.
      for (let i = 0; i < 3; i++) {
        const { message } = await dashboard.call('say', { relayUrl, text: '{"type":"list_commands"}' });
        assert.equal((JSON.parse(message) as { type: string }).type, 'init_state');
      }
      const { stdout } = await run('ip', ['netns', 'exec', laptop.namespace, 'cat', '/proc/net/tcp', '/proc/net/tcp6']);
      const listening = stdout.split('\n').filter((line) => line.trim().split(/\s+/)[3] === '0A');
      const loopback = /^\s*\d+: (?:0100007F|00000000000000000000000001000000):/;
      assert.ok(listening.length > 0);
      assert.deepEqual(
        listening.filter((line) => !loopback.test(line)),
        [],
      );
    });
  }
});
