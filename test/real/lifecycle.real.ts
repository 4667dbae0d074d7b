import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { successorOf } from '../../src/protocol/agent.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { joinChat, type Peer, RosterPeer } from './peers.ts';
import { PIS } from './pis.ts';
import { TerminalPi, withoutTmux } from './terminal.ts';

for (const pi of PIS) {
  describe(`pi ${pi.version}`, { timeout: 300_000 }, () => {
    let daemon: Daemon;
    let model: Model;
    let home: Home;
    let roster: RosterPeer;

    beforeEach(async () => {
      daemon = await Daemon.start();
      model = await Model.start();
      home = await Home.create(model.url);
      roster = new RosterPeer(daemon.origin);
      await roster.event('init');
    });
    afterEach(async () => {
      roster.socket.terminate();
      model.stop();
      await daemon.stop();
      const faults = (await home.log()).filter(({ needsHardening }) => needsHardening);
      await home.remove();
      assert.deepEqual(faults, []);
    });

    const turn = async (peer: Peer, text: string) => {
      peer.say({ type: 'prompt', id: `${text}-${Math.random()}`, text });
      await peer.state('working');
      await peer.state('idle');
    };
    /** The session that the close of a client names is there, and works. */
    const follow = async (peer: Peer, node: Node): Promise<[Node, Peer]> => {
      const { code, reason } = await peer.end();
      assert.equal(code, 4001);
      const id = successorOf(reason);
      assert.ok(id !== null && id !== node.id, reason);
      const successor = await roster.joined((joined) => joined.id === id);
      assert.equal(successor.port, node.port);
      const [chat] = await joinChat(daemon.origin, id);
      return [successor, chat];
    };
    const active = async (): Promise<string[]> => {
      const other = new RosterPeer(daemon.origin);
      const { nodes } = await other.event('init');
      other.socket.close();
      return (nodes as Node[]).filter(({ status }) => status === 'active').map(({ id }) => id);
    };

    describe('in a terminal', { skip: withoutTmux }, () => {
      let terminal: TerminalPi;
      let node: Node;
      let peer: Peer;

      beforeEach(async () => {
        terminal = await TerminalPi.start(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
        node = await roster.joined();
        [peer] = await joinChat(daemon.origin, node.id);
        await terminal.shows(/hypivisor 1 agent/);
      });
      afterEach(() => terminal.end());

      it('/new: its clients are led to the session that follows', async () => {
        await turn(peer, 'before');
        await terminal.line('/new');
        const [successor, next] = await follow(peer, node);
        assert.equal((next.messages[0] as { messages: unknown[] }).messages.length, 0);
        await turn(next, 'after');
        assert.deepEqual(await active(), [successor.id]);
        assert.ok(roster.messages.some(({ event, id }) => event === 'node_removed' && id === node.id));
      });

      it('/reload: the same agent is back at the same place, and never left the roster', async () => {
        await turn(peer, 'before');
        await terminal.line('/reload');
        const { code } = await peer.end();
        assert.equal(code, 4002);
        const back = await roster.joined();
        assert.deepEqual([back.id, back.port], [node.id, node.port]);
        const [again, init] = await joinChat(daemon.origin, node.id);
        assert.equal(init.messages.length, 2);
        await turn(again, 'after');
        assert.equal(
          roster.messages.some(({ event }) => event === 'node_removed'),
          false,
        );
      });

      it('/resume: leads on to the session that was chosen', async () => {
        await turn(peer, 'the first session');
        await terminal.line('/new');
        const [second, chat] = await follow(peer, node);
        await turn(chat, 'the second session');
        await terminal.line('/resume');
        await terminal.shows(/the first session/);
        await terminal.type('first');
        await sleep(500);
        await terminal.keys('Enter');
        const [, resumed] = await follow(chat, second);
        const [init] = resumed.messages;
        assert.match(JSON.stringify(init.messages), /the first session/);
        await turn(resumed, 'goes on');
      });

      it('/fork: leads on to the fork', async () => {
        await turn(peer, 'one');
        await turn(peer, 'two');
        await terminal.line('/fork');
        await terminal.shows(/two/);
        await sleep(500);
        await terminal.keys('Enter');
        const [, forked] = await follow(peer, node);
        assert.match(JSON.stringify(forked.messages[0].messages), /one/);
        // pi puts the message back where it is typed.
        await sleep(300);
        await terminal.keys('C-u');
        await turn(forked, 'goes on');
      });

      it('/tree: its clients are told that the history is another one', async () => {
        await turn(peer, 'one');
        await turn(peer, 'two');
        await terminal.line('/tree');
        await sleep(1000);
        await terminal.keys('Up', 'Up');
        await sleep(300);
        await terminal.keys('Enter');
        await sleep(500);
        // Some ask whether to sum up what is left.
        if (peer.messages.every(({ type }) => type !== 'history_reset')) await terminal.keys('Enter');
        await peer.type('history_reset');
        assert.equal(peer.closed, null);
      });

      it('/quit: it is gone from the roster at once, and so is pi', async () => {
        await terminal.line('/quit');
        assert.deepEqual(await peer.end(), { code: 1001, reason: 'pi is quitting' });
        assert.equal((await roster.event('node_removed')).id, node.id);
        for (let tries = 0; (await terminal.isRunning().catch(() => false)) && tries < 50; tries++) await sleep(100);
        assert.equal(await terminal.isRunning().catch(() => false), false);
      });

      it('/name: the session is called so on every screen', async () => {
        await terminal.line('/name Fix the roof');
        await peer.next(({ type, name }) => type === 'session' && name === 'Fix the roof');
        assert.equal((await joinChat(daemon.origin, node.id))[1].session.name, 'Fix the roof');
      });

      it('what is typed in the terminal shows on dashboards, and dashboards do not get in its way', async () => {
        await terminal.line('typed here');
        peer.say({ type: 'prompt', id: 'p1', text: 'sent there' });
        const users = () =>
          peer.messages.filter(({ type, message }) => type === 'message_end' && message.role === 'user');
        await peer.until(() => users().length === 2);
        const texts = users().map(({ message, prompt }) => [message.content[0].text, prompt]);
        assert.deepEqual(texts.toSorted(), [
          ['sent there', 'p1'],
          ['typed here', undefined],
        ]);
        await peer.state('idle');
      });
    });

    it('a session that is replaced over RPC leaves no dead one behind', async () => {
      const headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
      const node = await roster.joined();
      const [peer] = await joinChat(daemon.origin, node.id);
      await turn(peer, 'one');
      await headless.rpc({ type: 'new_session' });
      const { code } = await peer.end();
      assert.equal(code, 4001);
      await sleep(500);
      const [id, ...others] = await active();
      assert.deepEqual(others, []);
      const [next] = await joinChat(daemon.origin, id as string);
      await turn(next, 'two');
      assert.equal(await headless.quit(), 0);
      assert.deepEqual(await active(), []);
    });
  });
}
