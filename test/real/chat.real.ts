import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { InitState, Message } from '../../src/protocol/agent.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { chat, type Json, joinChat, type Peer, RosterPeer, reassemble } from './peers.ts';
import { PIS } from './pis.ts';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const textOf = (message: Message | undefined) => {
  const { content } = message ?? {};
  return Array.isArray(content) ? content.map((part) => (part.type === 'text' ? part.text : '')).join('') : content;
};

for (const pi of PIS) {
  describe(`pi ${pi.version}`, { timeout: 300_000 }, () => {
    let daemon: Daemon;
    let model: Model;
    let home: Home;
    let headless: HeadlessPi;
    let roster: RosterPeer;
    let node: Node;

    before(async () => {
      daemon = await Daemon.start();
      model = await Model.start();
      home = await Home.create(model.url);
      roster = new RosterPeer(daemon.origin);
      await roster.event('init');
      headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
      node = await roster.joined();
    });
    after(async () => {
      const code = await headless.quit();
      roster.socket.terminate();
      model.stop();
      await daemon.stop();
      const faults = (await home.log()).filter(({ needsHardening }) => needsHardening);
      await home.remove();
      assert.deepEqual(faults, []);
      assert.equal(code, 0);
      assert.equal(headless.stderr, '');
    });

    const prompt = async (peer: Peer, text: string, more: object = {}) => {
      const id = `p${Math.random()}`;
      peer.say({ type: 'prompt', id, text, ...more });
      await peer.next(
        (message) => message.type === 'prompt_status' && message.id === id && message.status === 'delivered',
      );
      return id;
    };
    /** Sends a prompt, and waits for the end of the run. */
    const turn = async (peer: Peer, text: string, more: object = {}) => {
      const id = await prompt(peer, text, more);
      await peer.next((message) => message.type === 'state' && message.state !== 'working');
      return id;
    };

    it('registers as what it is', () => {
      assert.equal(node.cwd, home.work);
      assert.equal(node.pid, headless.process.pid);
      assert.equal(node.status, 'active');
      assert.ok(node.port >= 8080 && node.port < 8280);
    });

    it('chats through the relay, each thing told once, and the pieces make the whole', async () => {
      const [peer, init] = await joinChat(daemon.origin, node.id);
      assert.equal(init.state, 'idle');
      assert.equal(init.session.model, 'mock-1');
      assert.ok(init.tools.some(({ name }) => name === 'bash'));
      const id = await turn(peer, 'say 50');
      const events = peer.messages.slice(1);
      assert.deepEqual(
        events.map(({ seq }) => seq),
        events.map((_, i) => init.seq + 1 + i),
      );
      const ends = events.filter(({ type }) => type === 'message_end');
      assert.deepEqual(
        ends.map(({ message, prompt, index }) => [message.role, prompt, index]),
        [
          ['user', id, 0],
          ['assistant', undefined, 1],
        ],
      );
      const expected = Array.from({ length: 50 }, (_, i) => `word${i} `).join('');
      assert.equal(textOf(ends[1].message), expected);
      assert.deepEqual(reassemble(peer.messages), [expected]);
      assert.equal(
        events.some(({ partial }) => partial !== undefined),
        false,
      );
      peer.socket.close();
    });

    it('thinks, and both parts are told apart', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await turn(peer, 'think 3');
      assert.deepEqual(reassemble(peer.messages), ['Let me see.|word0 word1 word2 ']);
      peer.socket.close();
    });

    it('runs tools, from their call to their result', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await turn(peer, 'run echo hello && sleep 0.3 && echo world');
      const of = (type: string) => peer.messages.filter((message) => message.type === type);
      const [start] = of('tool_start');
      const [end] = of('tool_end');
      assert.equal(start.toolName, 'bash');
      assert.match(start.args.command, /echo hello/);
      assert.equal(end.toolCallId, start.toolCallId);
      assert.equal(end.isError, false);
      assert.match(end.result.content[0].text, /hello\nworld/);
      assert.ok(end.durationMs >= 250);
      const [call] = of('message_delta').filter(({ kind }) => kind === 'toolcall');
      assert.deepEqual(call.call, { id: start.toolCallId, name: 'bash' });
      assert.deepEqual(
        JSON.parse(
          of('message_delta')
            .filter(({ kind }) => kind === 'toolcall')
            .map(({ delta }) => delta)
            .join(''),
        ),
        start.args,
      );
      assert.match(reassemble(peer.messages)[1] ?? '', /It came: hello/);
      peer.socket.close();
    });

    it('shows what a tool prints while it runs, each piece once', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await turn(peer, 'count 20');
      const updates = peer.messages.filter(({ type }) => type === 'tool_update');
      assert.ok(updates.length >= 3, `${updates.length}`);
      const [end] = peer.messages.filter(({ type }) => type === 'tool_end');
      let output = '';
      for (const { drop = 0, append } of updates) output = output.slice(drop) + append;
      assert.ok(end.result.content[0].text.startsWith(output.slice(0, 10)));
      assert.ok(
        updates.map(({ append }) => append.length).reduce((a, b) => a + b) <= end.result.content[0].text.length,
      );
      assert.equal(end.result.details.counted, 20);
      peer.socket.close();
    });

    it('stops when it is told to, and takes the next prompt', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'slow 1000 50');
      await peer.type('message_delta');
      peer.say({ type: 'abort' });
      await peer.state('idle');
      await turn(peer, 'hello again');
      assert.equal(reassemble(peer.messages).at(-1), 'You said: hello again');
      peer.socket.close();
    });

    it('takes prompts while it works one after the other, and a removed one not at all', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'slow 20 50');
      for (const id of ['q1', 'q2', 'q3']) peer.say({ type: 'prompt', id, text: `follow ${id}` });
      await peer.next(({ type, entries }) => type === 'queue' && entries.length === 3);
      peer.say({ type: 'queue_remove', id: 'q2' });
      await peer.next(({ type, id, status }) => type === 'prompt_status' && id === 'q2' && status === 'removed');
      await peer.next(({ type, message }) => type === 'message_end' && textOf(message) === 'You said: follow q3');
      const said = peer.messages.filter(({ type, message }) => type === 'message_end' && message.role === 'user');
      assert.deepEqual(said.map(({ message, prompt }) => [textOf(message), prompt]).slice(1), [
        ['follow q1', 'q1'],
        ['follow q3', 'q3'],
      ]);
      await peer.state('idle');
      peer.socket.close();
    });

    it('is steered while it works', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'run sleep 1 && echo slept');
      await peer.type('tool_start');
      peer.say({ type: 'prompt', id: 's1', text: 'waits' });
      await peer.next(({ type, entries }) => type === 'queue' && entries.length === 1);
      peer.say({ type: 'queue_steer', id: 's1' });
      const end = await peer.next(({ type, prompt }) => type === 'message_end' && prompt === 's1');
      assert.equal(textOf(end.message), 'waits');
      // Within the same run: it has not been idle between.
      const states = peer.messages.filter(({ type }) => type === 'state').map(({ state }) => state);
      assert.deepEqual(states, ['working']);
      await peer.state('idle');
      peer.socket.close();
    });

    it('loses nothing of ten prompts that come at once', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      const ids = Array.from({ length: 10 }, (_, i) => `burst${i}`);
      for (const id of ids) peer.say({ type: 'prompt', id, text: `say it ${id}` });
      const delivered = () =>
        peer.messages.filter(({ type, status }) => type === 'prompt_status' && status === 'delivered');
      await peer.until(() => delivered().length === ids.length);
      assert.deepEqual(
        delivered().map(({ id }) => id),
        ids,
      );
      const said = (role: string) =>
        peer.messages.filter(({ type, message }) => type === 'message_end' && message.role === role);
      await peer.until(() => said('assistant').length === ids.length);
      assert.deepEqual(
        said('user').map(({ message }) => textOf(message)),
        ids.map((id) => `say it ${id}`),
      );
      peer.socket.close();
    });

    it('is failed when its model fails for good, and says why', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'fail 400 99');
      const { error } = await peer.state('failed');
      assert.match(error, /400|overloaded/);
      assert.equal((await joinChat(daemon.origin, node.id))[1].state, 'failed');
      await turn(peer, 'and now');
      peer.socket.close();
    });

    it('goes on working while pi tries again, and is stopped in the middle of that', {
      skip: !pi.settles && 'pi does not tell',
    }, async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'fail 529 1');
      await peer.state('idle');
      const states = () => peer.messages.filter(({ type }) => type === 'state').map(({ state }) => state);
      assert.deepEqual(states(), ['working', 'idle']);
      await prompt(peer, 'fail 529 98');
      await new Promise((resolve) => setTimeout(resolve, 300));
      peer.say({ type: 'abort' });
      await peer.next(({ type, state }) => type === 'state' && state !== 'working');
      const requests = model.requests.length;
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.equal(model.requests.length, requests);
      peer.socket.close();
    });

    it('stays stopped when pi would try again', {
      skip: pi.settles && 'pi does not end its run before it',
    }, async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'fail 529 98');
      await new Promise((resolve) => setTimeout(resolve, 300));
      peer.say({ type: 'abort' });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const requests = model.requests.length;
      await new Promise((resolve) => setTimeout(resolve, 3000));
      assert.equal(model.requests.length, requests);
      await turn(peer, 'back to work');
      peer.socket.close();
    });

    it('goes on for a client that comes back, at any place, and says so when it cannot', async () => {
      const [peer, init] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'slow 20 20');
      await peer.state('idle');
      // What the turn cost is told behind it.
      await new Promise((resolve) => setTimeout(resolve, 500));
      const events = peer.messages.slice(1);
      for (const at of [0, 5, events.length - 1, events.length]) {
        const seq = init.seq + at;
        const back = chat(daemon.origin, node.id, { epoch: init.epoch, seq });
        assert.deepEqual((await back.type('resumed')).seq, seq);
        await back.until(() => back.messages.length === events.length - at + 1);
        assert.deepEqual(back.messages.slice(1), events.slice(at));
        back.socket.close();
      }
      const lost = chat(daemon.origin, node.id, { epoch: 'another', seq: 1 });
      assert.equal((await lost.next(() => true)).type, 'init_state');
      lost.socket.close();
      peer.socket.close();
    });

    it('shows who joins in the middle what is on the screen', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'slow 40 25');
      await peer.next(({ type }) => type === 'message_delta');
      peer.say({ type: 'prompt', id: 'later', text: 'later' });
      await peer.next(({ type, entries }) => type === 'queue' && entries.length === 1);
      const [other, init] = await joinChat(daemon.origin, node.id);
      assert.equal(init.state, 'working');
      assert.deepEqual(
        init.queue.map(({ id }) => id),
        ['later'],
      );
      const before = textOf(init.live) as string;
      const end = await other.next(({ type, message }) => type === 'message_end' && message.role === 'assistant');
      const after = other.messages.filter(({ type }) => type === 'message_delta').map(({ delta }) => delta);
      const all = after.slice(0, 1000).join('');
      assert.ok(textOf(end.message)?.startsWith(before));
      assert.ok((before + all).startsWith(textOf(end.message) as string));
      await other.next(({ type, message }) => type === 'message_end' && textOf(message) === 'You said: later');
      await other.state('idle');
      other.socket.close();
      peer.socket.close();
    });

    it('serves clients of the older kind with the events of pi as they are', async () => {
      const peer = chat(daemon.origin, node.id);
      const init = (await peer.type('init_state')) as InitState;
      assert.ok((init.totalMessages ?? 0) > 10);
      peer.say('say 5');
      const updates = [];
      for (;;) {
        const message = await peer.next(() => true);
        if (message.type === 'message_update') updates.push(message);
        if (message.type === 'message_end' && message.message.role === 'assistant') break;
      }
      assert.ok(updates.length >= 5);
      assert.equal(typeof updates[0].assistantMessageEvent, 'object');
      assert.equal(updates.at(-1).message.role, 'assistant');
      const known = ['init_state', 'message_start', 'message_update', 'message_end'];
      assert.deepEqual(
        peer.messages.filter(({ type }) => !known.includes(type)),
        [],
      );
      peer.say({ type: 'list_commands' });
      const { commands } = await peer.type('commands_list');
      assert.equal(
        commands.some(({ name }: Json) => name === '/tell'),
        pi.settles,
      );
      peer.say({ type: 'list_files' });
      assert.deepEqual((await peer.type('files_list')).cwd, home.work);
      peer.say({ type: 'fetch_history', before: 4, limit: 2 });
      const page = await peer.type('history_page');
      assert.deepEqual([page.messages.length, page.hasMore, page.oldestIndex], [2, true, 2]);
      peer.say({ type: 'attach_file', filename: 'dot.png', content: PIXEL });
      assert.equal((await peer.type('attach_file_ack')).success, true);
      await peer.next(({ type, message }) => type === 'message_end' && message.role === 'assistant');
      assert.match(JSON.stringify(model.requests.at(-1)?.messages.at(-1)), /image_url/);
      peer.socket.close();
    });

    it('tells an answer of 2,000 tokens in 0.3 MB, and the pieces make the very message', async () => {
      const classic = chat(daemon.origin, node.id);
      await classic.type('init_state');
      const [peer] = await joinChat(daemon.origin, node.id);
      const before = { classic: classic.bytes, delta: peer.bytes };
      peer.say({ type: 'prompt', id: 'long', text: 'say 2000' });
      const { message } = await peer.next(
        ({ type, message }) => type === 'message_end' && message.role === 'assistant',
      );
      await peer.state('idle');
      const old = await classic.next(({ type, message }) => type === 'message_end' && message.role === 'assistant');
      assert.deepEqual(message, old.message);
      assert.equal(reassemble(peer.messages).at(-1), textOf(message));
      const bytes = { classic: classic.bytes - before.classic, delta: peer.bytes - before.delta };
      assert.ok(bytes.delta <= 300_000, `${bytes.delta}`);
      assert.ok(bytes.classic > 5_000_000, `${bytes.classic}`);
      classic.socket.close();
      peer.socket.close();
    });

    it('takes files with a prompt', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      const attachments = [
        { filename: 'dot.png', data: PIXEL },
        { filename: 'a.txt', data: Buffer.from('the contents').toString('base64') },
      ];
      await turn(peer, 'look at these', { attachments });
      const asked = JSON.stringify(model.requests.at(-1)?.messages.at(-1));
      assert.match(asked, /the contents/);
      assert.match(asked, /image_url/);
      peer.socket.close();
    });

    it('never gives pi an empty prompt', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      const requests = model.requests.length;
      for (const text of ['', '  \n']) {
        peer.say({ type: 'prompt', id: `e${text.length}`, text });
        assert.match((await peer.type('error')).error, /needs text/);
      }
      peer.say('   ');
      await peer.type('error');
      assert.equal(model.requests.length, requests);
      peer.socket.close();
    });

    it('runs slash commands where pi can', { skip: !pi.settles && 'this pi gives them to the model' }, async () => {
      const [peer, init] = await joinChat(daemon.origin, node.id);
      assert.ok(init.features.includes('commands'));
      const requests = model.requests.length;
      await prompt(peer, '/tell it');
      await peer.until(() => peer.messages.some(({ type, text }) => type === 'notice' && text === 'told: it'));
      assert.equal(model.requests.length, requests);
      peer.socket.close();
    });

    it('shows a compaction: working while it lasts, and its summary as a message', async () => {
      const [peer, init] = await joinChat(daemon.origin, node.id);
      await turn(peer, 'say 3000');
      await turn(peer, 'say 3000');
      const { success, error } = await headless.rpc({ type: 'compact' });
      assert.equal(success, true, String(error));
      const { message, index } = await peer.next(
        ({ type, message }) => type === 'message_end' && message.role === 'compactionSummary',
      );
      assert.match(message.summary, /\S/);
      assert.equal(index, (init.totalMessages ?? 0) + 4);
      const states = peer.messages.filter(({ type }) => type === 'state').map(({ state }) => state);
      assert.deepEqual(states.slice(-2), ['working', 'idle']);
      await turn(peer, 'and on');
      const again = (await joinChat(daemon.origin, node.id))[1];
      assert.equal(again.totalMessages, index + 3);
      peer.socket.close();
    });

    it('serves two clients at once the same', async () => {
      const [[one], [two]] = await Promise.all([joinChat(daemon.origin, node.id), joinChat(daemon.origin, node.id)]);
      await turn(one, 'say 30');
      await two.state('idle');
      // Some pis tell what the run cost after its end, so one client may have got that already.
      await eventually(() => assert.deepEqual(one.messages.slice(1), two.messages.slice(1)));
      one.socket.close();
      two.socket.close();
    });

    describe('asked by an extension, without a terminal', () => {
      const answers: [kind: string, value: unknown, result: RegExp][] = [
        ['select', 'green', /answer: \\?"green/],
        ['confirm', true, /answer: true/],
        ['confirm', false, /answer: false/],
        ['input', 'Ada', /answer: \\?"Ada/],
        ['editor', 'the end', /answer: \\?"the end/],
      ];
      for (const [kind, value, result] of answers) {
        it(`a ${kind} is answered by a dashboard: ${value}`, async () => {
          const [peer] = await joinChat(daemon.origin, node.id);
          await prompt(peer, `ask ${kind}`);
          const { question } = await peer.type('question');
          assert.equal(question.kind, kind);
          await peer.state('waiting');
          const [late, init] = await joinChat(daemon.origin, node.id);
          assert.deepEqual(init.questions, [question]);
          peer.say({ type: 'answer', id: question.id, value, client: 'desk' });
          const settled = await late.type('question_settled');
          assert.deepEqual([settled.by, settled.client, settled.value], ['dashboard', 'desk', value]);
          late.say({ type: 'answer', id: question.id, value });
          assert.equal((await late.type('question_settled')).client, 'desk');
          await peer.state('idle');
          assert.match(JSON.stringify(peer.messages.filter(({ type }) => type === 'tool_end')), result);
          peer.socket.close();
          late.socket.close();
        });
      }

      it('and dismissed, it stops the run', async () => {
        const [peer] = await joinChat(daemon.origin, node.id);
        await prompt(peer, 'ask input');
        const { question } = await peer.type('question');
        assert.equal(question.dismissStops, true);
        const requests = model.requests.length;
        peer.say({ type: 'dismiss', id: question.id });
        assert.equal((await peer.type('question_settled')).by, 'dismissed');
        await peer.next(({ type, state }) => type === 'state' && state !== 'waiting' && state !== 'working');
        assert.equal(model.requests.length, requests);
        peer.socket.close();
      });

      it('two at once are both shown, and answered in any order', async () => {
        const [peer] = await joinChat(daemon.origin, node.id);
        await prompt(peer, 'ask both');
        const { question: first } = await peer.type('question');
        const { question: second } = await peer.next(
          ({ type, question }) => type === 'question' && question.title === 'Second?',
        );
        peer.say({ type: 'answer', id: second.id, value: true });
        peer.say({ type: 'answer', id: first.id, value: false });
        await peer.state('idle');
        assert.match(JSON.stringify(peer.messages.filter(({ type }) => type === 'tool_end')), /false true/);
        peer.socket.close();
      });

      it('it gives up in time, and everybody is told', async () => {
        const [peer] = await joinChat(daemon.origin, node.id);
        await prompt(peer, 'ask timeout');
        const { question } = await peer.type('question');
        assert.ok(question.expiresAt > question.askedAt);
        assert.equal((await peer.type('question_settled')).by, 'timeout');
        await peer.state('idle');
        peer.socket.close();
      });
    });

    it('is the same agent when its daemon was killed and is back, and works meanwhile', async () => {
      const [peer] = await joinChat(daemon.origin, node.id);
      await prompt(peer, 'slow 60 25');
      const { port } = daemon;
      await daemon.stop('SIGKILL');
      await peer.end();
      daemon = await Daemon.start({ args: ['--port', String(port)] });
      roster = new RosterPeer(daemon.origin);
      const back = await roster.next(({ event, node: joined, nodes }) =>
        event === 'node_joined' ? joined.id === node.id : nodes?.some(({ id }: Node) => id === node.id),
      );
      assert.ok(back);
      const [again, init] = await joinChat(daemon.origin, node.id);
      if (init.state === 'working') await again.state('idle');
      const messages = (await joinChat(daemon.origin, node.id))[1].messages;
      assert.match(textOf(messages.at(-1)) as string, /word59 $/);
      again.socket.close();
    });
  });
}
