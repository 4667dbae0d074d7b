import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { AGENT_LIMITS, type InitState, successorOf } from '../../src/protocol/agent.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { chat, joinChat, Peer, RosterPeer, reassemble } from '../real/peers.ts';
import { Daemon } from '../support/daemon.ts';
import { ImitationPi } from './imitation.ts';

const VARIABLES = ['HOME', 'HYPIVISOR', 'HYPIVISOR_WS', 'HYPI_TOKEN', 'HYPI_SPAWN_ID', 'PI_SOCKET_RECONNECT_MS'];

describe('the extension', () => {
  let home = '';
  let daemon: Daemon;
  let roster: RosterPeer;
  let pi: ImitationPi;
  const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));

  const setUp = async (environment: NodeJS.ProcessEnv = {}, daemonEnvironment: NodeJS.ProcessEnv = {}) => {
    daemon = await Daemon.start({ env: daemonEnvironment });
    const all = { HOME: home, HYPIVISOR_WS: daemon.registryUrl, PI_SOCKET_RECONNECT_MS: '100', ...environment };
    for (const [name, value] of Object.entries(all)) process.env[name] = value;
    roster = new RosterPeer(daemon.origin, daemonEnvironment.HYPI_TOKEN ?? null);
    await roster.event('init');
    pi = new ImitationPi();
  };
  const begin = async (): Promise<Node> => {
    await pi.start();
    return roster.joined();
  };
  const faults = async () => {
    const text = await readFile(path.join(home, '.pi', 'logs', 'hyper-pi.jsonl'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line.includes('needsHardening'));
  };

  beforeEach(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-agent-'));
  });
  afterEach(async () => {
    await pi.shutdown('quit').catch(() => {});
    roster.socket.terminate();
    await daemon.stop();
    for (const name of VARIABLES) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    const logged = await faults();
    await rm(home, { recursive: true, force: true });
    assert.deepEqual(logged, []);
  });

  it('registers its session, chats, and says goodbye', async () => {
    await setUp({ HYPI_SPAWN_ID: 'spawn-7' });
    const node = await begin();
    assert.deepEqual([node.cwd, node.pid], [process.cwd(), process.pid]);
    assert.equal(process.env.HYPI_SPAWN_ID, undefined, 'what this agent starts was started by nobody else');
    const [peer] = await joinChat(daemon.origin, node.id);
    peer.say({ type: 'prompt', id: 'p1', text: 'hello there' });
    await peer.state('idle');
    assert.deepEqual(reassemble(peer.messages), ['You said: hello there']);
    assert.equal((await joinChat(daemon.origin, node.id))[1].session.cost, 0.25);
    await pi.shutdown('quit');
    assert.deepEqual(await peer.end(), { code: 1001, reason: 'pi is quitting' });
    assert.equal((await roster.event('node_removed')).id, node.id);
    assert.equal(pi.footer, undefined);
  });

  it('tells the roster the truth, a few times a second', async () => {
    await setUp();
    pi.pace = 30;
    roster.say({ id: 's', method: 'subscribe', params: { features: ['updates'] } });
    const node = await begin();
    assert.deepEqual([node.state, node.model, node.questions], ['idle', 'mock-1', 0]);
    assert.equal(node.session, pi.context.sessionManager.getSessionId());
    const updated = (holds: (node: Partial<Node>) => boolean) =>
      roster.next((message) => message.event === 'node_updated' && message.id === node.id && holds(message));
    const [peer] = await joinChat(daemon.origin, node.id);
    peer.say({ type: 'prompt', id: 'p1', text: 'a b c d e f g h i j k l m n o p q r s t u v w x y z' });
    await updated(({ state }) => state === 'working');
    const { length } = roster.messages;
    await updated(({ state }) => state === 'idle');
    assert.ok(roster.messages.length - length < 10, 'a second of work is a few updates');
    const asked = pi.context.ui.select('Which?', ['a', 'b']);
    const { question, questions } = await updated(({ state }) => state === 'waiting');
    assert.deepEqual([question?.title, question?.options, questions], ['Which?', ['a', 'b'], 1]);
    pi.dialogs[0]?.answer('a');
    await asked;
    const settled = await updated(({ state }) => state === 'idle');
    assert.deepEqual([settled.question, settled.questions], [null, 0]);
    // What it is stays true when the daemon was killed and is back.
    const waiting = pi.context.ui.confirm('Still there?', '');
    await updated(({ state }) => state === 'waiting');
    const { port } = daemon;
    await daemon.stop('SIGKILL');
    await sleep(1500);
    daemon = await Daemon.start({ args: ['--port', String(port)] });
    roster = new RosterPeer(daemon.origin);
    const { nodes } = await roster.event('init');
    const back = nodes[0] ?? (await roster.joined());
    assert.deepEqual([back.id, back.state, back.question.title], [node.id, 'waiting', 'Still there?']);
    assert.ok(back.state_since < Date.now() / 1000 - 1, 'it has waited for longer than the daemon lives');
    pi.dialogs[0]?.answer(true);
    assert.equal(await waiting, true);
  });

  it('shows in the footer where it stands', async () => {
    await setUp();
    await begin();
    while (!pi.footer?.includes('hypivisor 1 agent')) await sleep(20);
    const { port } = daemon;
    await daemon.stop('SIGKILL');
    while (!pi.footer?.includes('hypivisor offline')) await sleep(20);
    daemon = await Daemon.start({ args: ['--port', String(port)] });
    while (!pi.footer?.includes('hypivisor 1 agent')) await sleep(20);
  });

  it('is not there if it is turned off, or nobody can look', async () => {
    await setUp({ HYPIVISOR: '0' });
    await pi.start();
    assert.equal(pi.commands.size, 0);
    delete process.env.HYPIVISOR;
    pi = new ImitationPi({ hasUI: false });
    await pi.start();
    await sleep(300);
    assert.deepEqual(
      roster.messages.map(({ event }) => event),
      ['init'],
    );
  });

  for (const reason of ['new', 'resume', 'fork']) {
    it(`leads its clients on at ${reason}`, async () => {
      await setUp();
      const node = await begin();
      const [peer] = await joinChat(daemon.origin, node.id);
      await pi.shutdown(reason);
      const { code, reason: told } = await peer.end();
      const successor = successorOf(told);
      assert.equal(code, 4001);
      pi = new ImitationPi();
      await pi.start(reason);
      const next = await roster.joined();
      assert.deepEqual([next.id, next.port], [successor, node.port]);
      assert.notEqual(next.id, node.id);
    });
  }

  it('is the same agent after a reload, and never leaves the roster for it', async () => {
    await setUp();
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    await pi.shutdown('reload');
    assert.equal((await peer.end()).code, 4002);
    pi = new ImitationPi();
    await pi.start('reload');
    const next = await roster.joined();
    assert.deepEqual([next.id, next.port], [node.id, node.port]);
    assert.ok(roster.messages.every(({ event }) => event !== 'node_removed'));
  });

  it('ends a session that its pi forgot to end', async () => {
    await setUp();
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    const another = new ImitationPi();
    await another.start('new');
    assert.equal((await peer.end()).code, 4001);
    await roster.joined(({ id }) => id !== node.id);
    pi = another;
  });

  it('asks in the terminal and afar, and takes the first answer', async () => {
    await setUp();
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    const { ui } = pi.context;

    const here = ui.confirm('Sure?', 'Really?');
    const { question } = await peer.type('question');
    assert.deepEqual([question.kind, question.title, question.message], ['confirm', 'Sure?', 'Really?']);
    pi.dialogs[0]?.answer(true);
    assert.equal(await here, true);
    assert.deepEqual(((await peer.type('question_settled')) as { by: string }).by, 'terminal');

    const afar = ui.select('Which?', ['a', 'b']);
    const { question: second } = await peer.type('question');
    peer.say({ type: 'answer', id: second.id, value: 'b', client: 'phone' });
    assert.equal(await afar, 'b');
    assert.equal(pi.dialogs.length, 0, 'the dialog here is gone');

    const edited = ui.editor('Edit', 'before');
    const { question: third } = await peer.type('question');
    assert.equal(third.prefill, 'before');
    peer.say({ type: 'answer', id: third.id, value: 'after' });
    assert.equal(await edited, 'after');
    assert.equal(pi.dialogs.length, 1, 'an editor cannot be closed from outside');
    // It keeps nobody waiting.
    const next = ui.input('Next?');
    const { question: fourth } = await peer.type('question');
    assert.equal(pi.dialogs.length, 2);
    peer.say({ type: 'dismiss', id: fourth.id });
    assert.equal(await next, undefined);
    ui.notify('look', 'warning');
    assert.deepEqual((await peer.type('notice')).text, 'look');
    assert.deepEqual(pi.notices, ['look']);
  });

  it('asks one question at a time in the terminal, and shows a component as one that waits', async () => {
    await setUp();
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    const { ui } = pi.context;
    const answers = Promise.all([ui.confirm('First?', ''), ui.confirm('Second?', '')]);
    await peer.next(({ type, question }) => type === 'question' && question.title === 'Second?');
    assert.deepEqual(
      pi.dialogs.map(({ title }) => title),
      ['First?'],
    );
    pi.dialogs[0]?.answer(true);
    while (pi.dialogs[0]?.title !== 'Second?') await sleep(10);
    pi.dialogs[0]?.answer(false);
    assert.deepEqual(await answers, [true, false]);

    const custom = ui.custom?.(() => {}, { blocked: { message: 'A game' } });
    const { question } = await peer.next(({ type, question }) => type === 'question' && question.kind === 'custom');
    assert.equal(question.title, 'A game');
    peer.say({ type: 'answer', id: question.id, value: 'x' });
    assert.match((await peer.type('error')).error, /only be answered in the terminal/);
    await pi.emit('ui_prompt_start', { kind: 'custom', title: 'Snake' });
    await peer.next(({ type, question }) => type === 'question' && question.title === 'Snake');
    pi.dialogs[0]?.answer('over');
    assert.equal(await custom, 'over');
    await peer.next(({ type, id }) => type === 'question_settled' && id === question.id);
  });

  it('gives up a question when whoever asks does, by its signal or in time', async () => {
    await setUp();
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    const controller = new AbortController();
    const asked = pi.context.ui.input('Name?', '', { signal: controller.signal });
    await peer.type('question');
    controller.abort();
    assert.equal(await asked, undefined);
    assert.equal((await peer.type('question_settled')).by, 'gone');
    assert.equal(await pi.context.ui.input('Quick?', '', { timeout: 100 }), undefined);
    assert.equal((await peer.type('question_settled')).by, 'timeout');
  });

  it('gives the terminal its own dialogs back when the session ends', async () => {
    await setUp();
    const { select } = pi.context.ui;
    await begin();
    assert.notEqual(pi.context.ui.select, select);
    const { ui } = pi.context;
    await pi.shutdown('quit');
    assert.equal(ui.select, select);
  });

  it('lets in who has the key or the token, and nobody else', async () => {
    await setUp({ HYPI_TOKEN: 'secret' }, { HYPI_TOKEN: 'secret' });
    const node = await begin();
    const url = `ws://127.0.0.1:${node.port}/`;
    const statusOf = (query = '', options: object = {}, protocols: string[] = []) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(url + query, protocols, options);
        socket.on('unexpected-response', (_request, response) => {
          resolve(response.statusCode ?? 0);
          socket.terminate();
        });
        socket.on('open', () => {
          resolve(101);
          socket.terminate();
        });
        socket.on('error', () => {});
      });
    assert.equal(await statusOf(), 401);
    assert.equal(await statusOf('?token=wrong'), 401);
    assert.equal(await statusOf('', { headers: { Authorization: 'Bearer wrong' } }), 401);
    assert.equal(await statusOf('', { origin: 'https://evil.example' }), 401);
    assert.equal(await statusOf('?token=secret'), 101);
    assert.equal(await statusOf('', { headers: { Authorization: 'Bearer secret' } }), 101);
    // And through the daemon, which has the key.
    assert.equal((await joinChat(daemon.origin, node.id, 'secret'))[1].type, 'init_state');
  });

  it('listens on loopback alone, and lets nobody in without a token', async () => {
    await setUp();
    const node = await begin();
    for (const origin of [undefined, 'http://localhost:1', `http://127.0.0.1:${node.port}`, 'null']) {
      const peer = new Peer(`ws://127.0.0.1:${node.port}/`, []);
      assert.equal((await peer.end()).code, 1006, origin);
    }
    const others = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
    for (const { address, internal, family } of others) {
      if (internal || family !== 'IPv4') continue;
      const peer = new Peer(`ws://${address}:${node.port}/`, []);
      assert.equal((await peer.end()).code, 1006);
    }
  });

  it('keeps init_state within its bound, whatever the history holds', async () => {
    await setUp();
    const text = (length: number) => [{ type: 'text' as const, text: '日'.repeat(length) }];
    for (let i = 0; i < 50; i++) {
      pi.entries.push({
        type: 'message',
        message: { role: 'user', content: text(i === 49 ? 4_000_000 : 20_000), timestamp: i },
      });
    }
    const node = await begin();
    const [peer, init] = await joinChat(daemon.origin, node.id);
    assert.ok(peer.bytes <= AGENT_LIMITS.snapshotBytes, `${peer.bytes}`);
    assert.equal(init.messages.at(-1)?.cut?.index, 49);
    assert.equal(init.truncated, true);
    peer.say({ type: 'fetch_message', index: 49 });
    const { message } = await peer.type('message');
    assert.equal(message.content[0].text.length, 4_000_000);
    peer.say({ type: 'fetch_history', before: init.oldestIndex, limit: 5 });
    assert.equal((await peer.type('history_page')).messages.length, 5);
  });

  it('goes on where a client was, through the relay', async () => {
    await setUp();
    const node = await begin();
    const [peer, init] = await joinChat(daemon.origin, node.id);
    pi.pace = 5;
    peer.say({ type: 'prompt', id: 'p1', text: 'a b c d e f g h' });
    await peer.state('idle');
    await sleep(100);
    const events = peer.messages.slice(1);
    for (let at = 0; at <= events.length; at += 3) {
      const back = chat(daemon.origin, node.id, { epoch: init.epoch, seq: init.seq + at });
      await back.until(() => back.messages.length === events.length - at + 1);
      assert.equal(back.messages[0].type, 'resumed');
      assert.deepEqual(back.messages.slice(1), events.slice(at));
      back.socket.terminate();
    }
  });

  it('works for older clients: plain prompts, events as they are, and no word that they do not know', async () => {
    await setUp();
    const node = await begin();
    const peer = chat(daemon.origin, node.id);
    const init = (await peer.type('init_state')) as InitState;
    assert.deepEqual(init.messages, []);
    peer.say('hello');
    await peer.next(({ type, message }) => type === 'message_end' && message.role === 'assistant');
    const types = new Set(peer.messages.map(({ type }) => type));
    assert.deepEqual([...types].sort(), ['init_state', 'message_end', 'message_start', 'message_update']);
  });

  it('stops at once, and what waited is given back', async () => {
    await setUp();
    pi.pace = 50;
    const node = await begin();
    const [peer] = await joinChat(daemon.origin, node.id);
    peer.say({ type: 'prompt', id: 'p1', text: 'one two three four five six seven eight nine' });
    await peer.type('message_delta');
    peer.say({ type: 'prompt', id: 'p2', text: 'later' });
    peer.say({ type: 'abort' });
    await peer.next(({ type, id, status }) => type === 'prompt_status' && id === 'p2' && status === 'removed');
    await peer.state('idle');
  });

  it('with an older pi does what that can do', async () => {
    await setUp();
    pi = new ImitationPi({ isNewer: false });
    const node = await begin();
    const [peer, init] = await joinChat(daemon.origin, node.id);
    assert.equal(init.features.includes('commands'), false);
    for (const id of ['p1', 'p2']) peer.say({ type: 'prompt', id, text: id });
    await peer.until(() => reassemble(peer.messages).length === 2);
    await peer.state('idle');
  });

  it('/hypivisor says where it stands, and the doctor finds all well', async () => {
    await setUp();
    const node = await begin();
    const command = pi.commands.get('hypivisor');
    while (!pi.footer?.includes('1 agent')) await sleep(20);
    await command?.handler('', pi.context);
    assert.match(pi.notices.at(-1) ?? '', new RegExp(`online[\\s\\S]*${node.id}, port ${node.port}`));
    await command?.handler('doctor', pi.context);
    assert.match(pi.notices.at(-1) ?? '', /✓ relay[\s\S]*All is well/);
    await command?.handler('qr', pi.context);
    assert.match(pi.notices.at(-1) ?? '', /HYPI_TOKEN/);
    await command?.handler('nonsense', pi.context);
    assert.match(pi.notices.at(-1) ?? '', /\/hypivisor knows: status/);
    const { ui } = pi.context;
    await pi.shutdown('quit');
    // A command that outlives its session does no harm.
    await command?.handler('status', { ...pi.context, ui });
  });
});
