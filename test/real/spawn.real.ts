import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { joinChat, RosterPeer } from './peers.ts';
import { ASKER, EXTENSION, PIS } from './pis.ts';

for (const pi of PIS) {
  describe(`pi ${pi.version}, started by the daemon`, { timeout: 120_000 }, () => {
    let daemon: Daemon;
    let model: Model;
    let home: Home;
    let roster: RosterPeer;
    const pids = new Set<number>();

    before(async () => {
      model = await Model.start();
      home = await Home.create(model.url);
      const command = [...pi.command, '--mode', 'rpc', '-e', EXTENSION, '-e', ASKER];
      const args = ['--spawn-command', JSON.stringify(command)];
      daemon = await Daemon.start({ args, env: home.environment({ NODE_OPTIONS: '' }) });
      roster = new RosterPeer(daemon.origin);
      await roster.event('init');
      roster.say({ id: 'f', method: 'subscribe', params: { features: ['updates', 'spawns'] } });
    });
    after(async () => {
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGTERM');
        } catch {
          // It has ended.
        }
      }
      roster.socket.terminate();
      model.stop();
      await daemon.stop();
      await home.remove();
    });

    const ask = async (method: string, params: object) => {
      const id = `${method}-${Math.random()}`;
      roster.say({ id, method, params });
      const { result, error } = await roster.next((message) => message.id === id, method);
      assert.equal(error, undefined);
      return result;
    };
    const spawned = async (params: object): Promise<Node> => {
      const { status, spawn_id } = await ask('spawn_agent', { path: home.work, ...params });
      assert.equal(status, 'spawning');
      const node = await roster.joined((node) => node.spawn_id === spawn_id);
      pids.add(node.pid as number);
      assert.deepEqual(await ask('spawn_status', { spawn_id }), { status: 'registered', node: node.id });
      return node;
    };

    it('registers under its spawn id, and chats', async () => {
      const node = await spawned({});
      assert.equal(node.cwd, home.work);
      const [peer] = await joinChat(daemon.origin, node.id);
      peer.say({ type: 'prompt', id: 'p1', text: 'hello' });
      await peer.state('idle');
      peer.socket.terminate();
    });

    it('takes its first prompt and its model, and its session goes on later', async () => {
      const node = await spawned({ new_folder: 'project', prompt: 'the first prompt', model: 'mock-1' });
      assert.equal(node.model, 'mock-1');
      const [peer, init] = await joinChat(daemon.origin, node.id);
      if (init.messages.length < 2) {
        await peer.next(({ type, message }) => type === 'message_end' && message.role === 'assistant');
      }
      await roster
        .next(({ event, id, state }) => event === 'node_updated' && id === node.id && state === 'idle')
        .catch(() => {});
      process.kill(node.pid as number, 'SIGTERM');
      await peer.end();
      const { sessions } = await ask('list_sessions', { path: `${home.work}/project` });
      assert.equal(sessions.length, 1);
      assert.equal(sessions[0].first, 'the first prompt');
      const again = await spawned({ path: `${home.work}/project`, session: sessions[0].session });
      assert.equal(again.session, node.session);
      const [, resumed] = await joinChat(daemon.origin, again.id);
      assert.match(JSON.stringify(resumed.messages), /You said: .*the first prompt/);
    });
  });
}
