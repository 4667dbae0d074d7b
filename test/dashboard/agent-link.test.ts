import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { AgentLink } from '../../src/dashboard/link/agent-link.ts';
import { abort, answer } from '../../src/dashboard/link/errand.ts';
import type { Position } from '../../src/protocol/subprotocol.ts';
import { FakeEnvironment } from './support/fake-environment.ts';

let environment: FakeEnvironment;
let heard: unknown[];
let position: Position | null;
let successors: string[];
let link: AgentLink;
let detach: () => void;

beforeEach(() => {
  environment = new FakeEnvironment();
  heard = [];
  position = null;
  successors = [];
  link = new AgentLink({
    nodeId: 'a/b',
    environment,
    token: () => null,
    address: (id) => `ws://h/ws/agent/${encodeURIComponent(id)}`,
    onSuccessor: (id) => successors.push(id),
  });
  detach = link.attach({
    position: () => position,
    message: (message, dialect) => heard.push([message.type, dialect]),
    replaced: (successor) => heard.push(['replaced', successor]),
  });
});

const phase = () => link.status.peek().phase;

describe('the link to an agent', () => {
  it('offers deltas, and to resume if the chat has a position', () => {
    assert.equal(environment.socket.url, 'ws://h/ws/agent/a%2Fb');
    assert.deepEqual(environment.socket.offered, ['hypi.v1', 'hypi.delta.v1']);
    position = { epoch: 'e1', seq: 42 };
    environment.socket.open('hypi.delta.v1');
    environment.socket.say({ type: 'init_state' });
    environment.socket.lose();
    assert.deepEqual(environment.socket.offered, ['hypi.v1', 'hypi.delta.v1', 'hypi.resume.e1.42']);
  });

  it('is live from the first message, in the dialect that the agent chose', () => {
    environment.socket.open('hypi.delta.v1');
    assert.equal(phase(), 'connecting');
    assert.equal(link.send({ type: 'abort' }), false);
    environment.socket.say({ type: 'init_state' });
    assert.deepEqual([phase(), heard], ['live', [['init_state', 'delta']]]);
    assert.equal(link.send({ type: 'abort' }), true);
    assert.equal(link.send('a prompt'), true);
    assert.deepEqual(environment.socket.sent, ['{"type":"abort"}', 'a prompt']);
    environment.socket.lose();
    environment.socket.open('hypi.v1');
    environment.socket.say({ type: 'init_state' });
    assert.equal(link.status.peek().dialect, 'classic');
  });

  it('keeps all but JSON objects, and the daemon’s refusal, from the chat', () => {
    environment.socket.open('hypi.v1');
    for (const noise of ['{', 'null', '[1]', '"x"']) environment.socket.say(noise);
    environment.socket.say({ error: 'Cannot reach agent: refused' });
    environment.socket.lose(1000);
    assert.deepEqual(heard, []);
    assert.deepEqual([phase(), link.status.peek().reason], ['lost', 'Cannot reach agent: refused']);
  });

  it('waits longer each time if the daemon refuses, and not for ever', () => {
    for (let i = 0; i < 3; i++) {
      environment.socket.open('hypi.v1');
      environment.socket.say({ error: 'Agent not found' });
      environment.socket.lose(1000);
      environment.pass(1000 * 2 ** i);
    }
    assert.equal(environment.sockets.length, 4);
  });

  it('comes back after every close code, with a reason in words', () => {
    for (const code of [1000, 1001, 1002, 1006, 1008, 1009, 1011, 1013, 1014, 4001, 4002]) {
      environment.socket.open('hypi.delta.v1');
      environment.socket.say({ type: 'init_state' });
      environment.socket.lose(code);
      assert.equal(phase(), 'lost');
      assert.match(link.status.peek().reason as string, /^[A-Z].*\.$/);
      const before = environment.sockets.length;
      environment.pass(2000);
      assert.ok(environment.sockets.length >= before, String(code));
      assert.equal(environment.socket.closedWith, null);
    }
  });

  it('tells of the session that replaced this one', () => {
    environment.socket.open('hypi.delta.v1');
    environment.socket.say({ type: 'init_state' });
    environment.socket.lose(4001, 'successor:next one');
    assert.deepEqual(successors, ['next one']);
    assert.deepEqual(heard.at(-1), ['replaced', 'next one'], 'the chat hears of it too');
  });

  it('rests while the agent is offline, and connects when it is back', () => {
    environment.socket.open('hypi.delta.v1');
    environment.socket.say({ type: 'init_state' });
    link.away();
    assert.equal(phase(), 'away');
    environment.pass(100_000);
    environment.wake();
    assert.equal(environment.sockets.length, 1);
    link.back();
    assert.deepEqual([environment.sockets.length, phase()], [2, 'connecting']);
  });

  it('ends with the chat, and listens to nothing more', () => {
    environment.socket.open('hypi.delta.v1');
    environment.socket.say({ type: 'init_state' });
    const [socket] = environment.sockets;
    detach();
    socket?.say({ type: 'state' });
    link.back();
    environment.pass(100_000);
    assert.deepEqual([heard.length, environment.sockets.length], [1, 1]);
  });

  it('lets others listen as well', () => {
    const seen: unknown[] = [];
    const stop = link.observe(({ type }) => seen.push(type));
    environment.socket.open('hypi.delta.v1');
    environment.socket.say({ type: 'init_state' });
    stop();
    environment.socket.say({ type: 'state' });
    assert.deepEqual(seen, ['init_state']);
  });
});

describe('an errand', () => {
  const way = () => ({ environment, token: () => null, address: (id: string) => `ws://h/${id}` });
  const open = (...messages: object[]) => {
    environment.socket.open('hypi.delta.v1');
    for (const message of messages) environment.socket.say(message);
  };
  const asked = { type: 'init_state', state: 'waiting', questions: [{ id: 'q' }] };

  it('answers a question, and counts once the agent has said so', async () => {
    const outcome = answer(way(), 'a', 'q', true, 'me');
    open(asked);
    assert.deepEqual(environment.socket.requests, [{ type: 'answer', value: true, id: 'q', client: 'me' }]);
    environment.socket.say({ type: 'question_settled', id: 'other', by: 'terminal' });
    environment.socket.say({ type: 'question_settled', id: 'q', by: 'dashboard', client: 'me', value: true });
    assert.deepEqual(await outcome, { kind: 'accepted' });
    assert.equal(environment.socket.closedWith, 1000);
  });

  it('dismisses one', async () => {
    const outcome = answer(way(), 'a', 'q', null, 'me');
    open(asked, { type: 'question_settled', id: 'q', by: 'dismissed', client: 'me' });
    assert.deepEqual(environment.socket.requests, [{ type: 'dismiss', id: 'q', client: 'me' }]);
    assert.deepEqual(await outcome, { kind: 'accepted' });
  });

  it('says who answered first', async () => {
    const late = answer(way(), 'a', 'q', 'x', 'me');
    const settled = { type: 'question_settled', id: 'q', by: 'terminal', value: 'y' };
    open(asked, settled);
    assert.deepEqual(await late, { kind: 'already', settled });
    const later = answer(way(), 'a', 'q', 'x', 'me');
    open({ ...asked, questions: [] });
    assert.deepEqual(await later, { kind: 'already', settled: null });
  });

  it('is not delivered if the agent refuses, cannot be reached, goes or is silent', async () => {
    const tries: [string, () => void][] = [
      ['No such option.', () => open(asked, { type: 'error', request: 'answer', id: 'q', error: 'No such option.' })],
      ['This agent takes answers in its own terminal only.', () => open({ type: 'init_state', messages: [] })],
      [
        'The connection to the agent was lost.',
        () => {
          open(asked);
          environment.socket.lose();
        },
      ],
      [
        'The agent did not answer.',
        () => {
          open(asked);
          environment.pass(8000);
        },
      ],
      [
        'Agent is offline',
        () => {
          open({ error: 'Agent is offline' });
          environment.socket.lose(1000);
        },
      ],
    ];
    for (const [why, happens] of tries) {
      const outcome = answer(way(), 'a', 'q', true, 'me');
      happens();
      assert.deepEqual(await outcome, { kind: 'not-delivered', why });
    }
  });

  it('stops an agent, and waits until it says so, if it reports its state', async () => {
    const delta = abort(way(), 'a');
    open({ type: 'init_state', state: 'working', questions: [] });
    assert.deepEqual(environment.socket.requests, [{ type: 'abort' }]);
    environment.socket.say({ type: 'state', state: 'working' });
    environment.socket.say({ type: 'state', state: 'idle' });
    assert.equal(await delta, null);
    const classic = abort(way(), 'a');
    open({ type: 'init_state', messages: [] });
    assert.equal(await classic, null);
    const silent = abort(way(), 'a');
    environment.pass(8000);
    assert.equal(await silent, 'The agent did not answer.');
  });
});
