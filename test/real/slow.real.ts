import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../src/protocol/agent.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { joinChat, RosterPeer } from './peers.ts';
import { PIS } from './pis.ts';

const textOf = ({ content }: Message) => JSON.stringify(content);

for (const pi of PIS) {
  describe(`pi ${pi.version}, with an extension that takes its time before each run`, { timeout: 120_000 }, () => {
    it('loses no prompt, and sends none twice', async (t) => {
      const daemon = await Daemon.start();
      t.after(() => daemon.stop());
      const model = await Model.start();
      t.after(() => model.stop());
      const home = await Home.create(model.url);
      t.after(() => home.remove());
      const roster = new RosterPeer(daemon.origin);
      t.after(() => roster.socket.terminate());
      await roster.event('init');
      const headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl, SLOW_START: '700' });
      t.after(() => headless.quit());
      const { id } = await roster.joined();
      const [peer] = await joinChat(daemon.origin, id);

      const sent = ['one', 'two', 'three', 'four'];
      for (const text of sent) peer.say({ type: 'prompt', id: text, text: `prompt ${text}` });
      const ended = (role: string) =>
        peer.messages.filter(({ type, message }) => type === 'message_end' && message.role === role);
      await peer.until(() => ended('assistant').length === sent.length);
      assert.deepEqual(
        ended('user').map(({ message, prompt }) => [prompt, textOf(message).includes(`prompt ${prompt}`)]),
        sent.map((text) => [text, true]),
      );
      const outcomes = peer.messages.filter(({ type, status }) => type === 'prompt_status' && status !== 'queued');
      assert.deepEqual(
        outcomes.map(({ id, status }) => [id, status]),
        sent.map((text) => [text, 'delivered']),
      );
      peer.socket.terminate();
    });
  });
}
