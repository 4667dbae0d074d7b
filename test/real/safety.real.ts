import assert from 'node:assert/strict';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { relayUrl } from '../../src/protocol/url.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { HostileDaemon, MISBEHAVIOURS } from './hostile-daemon.ts';
import { Model } from './model.ts';
import { joinChat, RosterPeer } from './peers.ts';
import { PIS } from './pis.ts';

for (const pi of PIS) {
  describe(`pi ${pi.version} goes on working`, { timeout: 400_000 }, () => {
    let model: Model;
    before(async () => {
      model = await Model.start();
    });
    after(() => model.stop());

    /** pi answers, and does what it is for. */
    const works = async (headless: HeadlessPi) => {
      assert.ok(headless.isRunning, headless.stderr);
      const requests = model.requests.length;
      const { success } = await headless.rpc({ type: 'prompt', message: 'say 5' });
      assert.equal(success, true);
      for (let waitedMs = 0; model.requests.length === requests; waitedMs += 20) {
        assert.ok(waitedMs < 10_000, 'pi did not ask its model');
        await sleep(20);
      }
      for (let waitedMs = 0; ; waitedMs += 50) {
        const { data } = await headless.rpc({ type: 'get_state' });
        if (!(data as { isStreaming: boolean }).isStreaming) break;
        assert.ok(waitedMs < 10_000, 'pi did not end its run');
        await sleep(50);
      }
    };
    const endsWell = async (headless: HeadlessPi, home: Home) => {
      assert.equal(await headless.quit(), 0);
      assert.equal(headless.stderr, '');
      const faults = (await home.log()).filter(({ needsHardening }) => needsHardening);
      await home.remove();
      assert.deepEqual(faults, []);
    };

    describe('whatever its daemon does:', () => {
      let hostile: HostileDaemon;
      let home: Home;
      let headless: HeadlessPi;
      before(async () => {
        hostile = await HostileDaemon.start();
        home = await Home.create(model.url);
        headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: hostile.url, PI_SOCKET_RECONNECT_MS: '20' });
        await works(headless);
      });
      after(async () => {
        hostile.stop();
        await works(headless);
        await endsWell(headless, home);
      });

      for (const [name, misbehave] of Object.entries(MISBEHAVIOURS)) {
        it(`one that ${name}`, async () => {
          hostile.become(misbehave);
          const begun = Date.now();
          while (hostile.connections === 0 && Date.now() - begun < 45_000) await sleep(20);
          assert.ok(hostile.connections > 0, 'pi did not come back');
          await sleep(100);
          await works(headless);
        });
      }
    });

    it('with a log that cannot be written', { skip: process.platform !== 'linux' && 'no /dev/full' }, async () => {
      const daemon = await Daemon.start();
      const home = await Home.create(model.url);
      await mkdir(path.join(home.path, '.pi', 'logs'));
      await symlink('/dev/full', path.join(home.path, '.pi', 'logs', 'hyper-pi.jsonl'));
      const roster = new RosterPeer(daemon.origin);
      const headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
      const node = await roster.joined();
      const [peer] = await joinChat(daemon.origin, node.id);
      peer.say({ type: 'prompt', id: 'p', text: 'hello' });
      await peer.state('idle');
      await works(headless);
      peer.socket.terminate();
      roster.socket.terminate();
      assert.equal(await headless.quit(), 0);
      assert.equal(headless.stderr, '');
      await daemon.stop();
      await home.remove();
    });

    it('with all the ports that it tries in use', async () => {
      const daemon = await Daemon.start();
      const home = await Home.create(model.url);
      const taken: net.Server[] = [];
      for (let port = 65_526; port <= 65_535; port++) {
        const server = net.createServer().on('error', () => {});
        await new Promise((resolve) =>
          server.once('listening', resolve).once('error', resolve).listen(port, '127.0.0.1'),
        );
        taken.push(server);
      }
      const roster = new RosterPeer(daemon.origin);
      const headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl, PI_SOCKET_PORT: '65526' });
      const node = await roster.joined();
      assert.ok(node.port < 65_526);
      const [peer] = await joinChat(daemon.origin, node.id);
      peer.socket.terminate();
      roster.socket.terminate();
      for (const server of taken) server.close();
      await endsWell(headless, home);
      await daemon.stop();
    });

    it('with clients that never read, which are let go, and keep nobody else waiting', async () => {
      const daemon = await Daemon.start();
      const home = await Home.create(model.url);
      const roster = new RosterPeer(daemon.origin);
      const headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
      const node = await roster.joined();
      const [peer] = await joinChat(daemon.origin, node.id);
      const deaf = ['', 'hypi.delta.v1'].map((more) => {
        const socket = new WebSocket(relayUrl(daemon.origin, node.id, null), [
          'hypi.v1',
          ...(more === '' ? [] : [more]),
        ]);
        socket.on('open', () => socket.pause());
        socket.on('error', () => {});
        return socket;
      });
      await sleep(500);
      const before = await memory(headless);
      for (let i = 0; i < 4; i++) {
        peer.say({ type: 'prompt', id: `p${i}`, text: 'say 1500' });
        await peer.state('working');
        await peer.state('idle');
      }
      const grown = (await memory(headless)) - before;
      assert.ok(grown < 300 * 1024 * 1024, `${grown} bytes more`);
      for (const socket of deaf) socket.terminate();
      peer.socket.terminate();
      roster.socket.terminate();
      await endsWell(headless, home);
      await daemon.stop();
    });
  });
}

/** Its resident memory, in bytes; 0 if nobody tells. */
async function memory(headless: HeadlessPi): Promise<number> {
  const status = await readFile(`/proc/${headless.process.pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
