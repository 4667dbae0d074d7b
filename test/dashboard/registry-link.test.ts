import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import {
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  RegistryLink,
  RequestError,
  UnknownOutcome,
} from '../../src/dashboard/link/registry-link.ts';
import { FakeEnvironment, settle } from './support/fake-environment.ts';

const INIT = { event: 'init', nodes: [], protocol_version: '1' };
let environment: FakeEnvironment;
let heard: unknown[];
let link: RegistryLink;
let token: string | null;

beforeEach(() => {
  environment = new FakeEnvironment();
  heard = [];
  token = null;
  link = new RegistryLink(environment, {
    address: () => 'ws://h/ws',
    token: () => token,
    push: (push) => heard.push(push.event),
    phase: () => {},
    lost: (code, wasLive) => heard.push(`lost ${code} ${wasLive}`),
    features: (features) => heard.push(features),
    deaf: () => heard.push('deaf'),
  });
  link.start();
});

const answer = (id: number, fields: object) => environment.socket.say({ id, ...fields });

describe('the link to the registry', () => {
  it('presents the token as a subprotocol, and in no address', () => {
    token = 'ä b';
    link.stop();
    link.start();
    assert.equal(environment.socket.url, 'ws://h/ws');
    assert.deepEqual(environment.socket.offered, ['hypi.v1', 'hypi.token.w6QgYg']);
  });

  it('asks for features beside the roster, and is calm if the daemon knows none', async () => {
    environment.socket.open();
    const [subscribe] = environment.socket.requests;
    assert.equal(subscribe.method, 'subscribe');
    answer(subscribe.id, { result: { features: ['updates'] } });
    await settle();
    assert.deepEqual(heard.pop(), ['updates']);
    const listing = environment.socket.requests.at(-1);
    assert.equal(listing.method, 'list_nodes', 'what changed meanwhile was told to nobody');
    answer(listing.id, { result: [] });
    await settle();
    assert.equal(heard.pop(), 'init');
    environment.socket.say(INIT);
    environment.socket.lose();
    environment.socket.open();
    answer(environment.socket.requests[0].id, { error: 'Method not found: subscribe' });
    await settle();
    assert.deepEqual(heard.pop(), []);
  });

  it('matches answers to requests in any order', async () => {
    environment.socket.open();
    const first = link.request('list_nodes', {});
    const second = link.request('list_directories', { path: '/x' });
    const [, { id: a }, { id: b, params }] = environment.socket.requests;
    assert.deepEqual(params, { path: '/x' });
    answer(b, { error: 'Cannot read directory: x' });
    answer(a, { result: [] });
    assert.deepEqual(await first, []);
    await assert.rejects(
      second,
      (error) => error instanceof RequestError && error.message === 'Cannot read directory: x',
    );
  });

  it('says that an outcome is not known if no answer came', async () => {
    environment.socket.open();
    environment.socket.say(INIT);
    const lost = link.request('spawn_agent', { path: '/x' });
    environment.socket.lose();
    await assert.rejects(lost, UnknownOutcome);
    environment.socket.open();
    const late = link.request('spawn_agent', { path: '/x' });
    const { id } = environment.socket.requests.at(-1);
    environment.pass(30_000);
    await assert.rejects(late, UnknownOutcome);
    answer(id, { result: {} });
    link.stop();
    await assert.rejects(link.request('ping', {}), RequestError);
  });

  it('does not take nodes’ ids in pushes for answers, and drops everything but messages', async () => {
    environment.socket.open();
    const asked = link.request('ping', {});
    const { id } = environment.socket.requests.at(-1);
    for (const noise of ['{', 'null', '1', '[]', '{"id":"x"}', '{"result":1}']) environment.socket.say(noise);
    environment.socket.say({ event: 'node_offline', id });
    assert.equal(heard.at(-1), 'node_offline');
    answer(id, { result: { status: 'healthy' } });
    assert.deepEqual(await asked, { status: 'healthy' });
  });

  it('tells whether the roster had come on the connection that was lost', () => {
    environment.socket.lose(1006);
    environment.pass(1000);
    environment.socket.open();
    environment.socket.say(INIT);
    environment.socket.lose(1001);
    assert.deepEqual(
      heard.filter((each) => String(each).startsWith('lost')),
      ['lost 1006 false', 'lost 1001 true'],
    );
  });
});

describe('a dead network', () => {
  const pings = () => environment.sockets.flatMap(({ requests }) => requests.filter(({ method }) => method === 'ping'));

  beforeEach(() => {
    environment.socket.open();
    environment.socket.say(INIT);
  });

  it('is noticed within 35 s: a ping every 25 s, answered within 10', () => {
    environment.pass(PING_INTERVAL_MS - 1);
    assert.equal(pings().length, 0);
    environment.pass(1);
    assert.equal(pings().length, 1);
    environment.pass(PING_TIMEOUT_MS - 1);
    assert.equal(environment.sockets.length, 1);
    environment.pass(1);
    assert.equal(environment.sockets.length, 2);
    assert.ok(heard.includes('deaf') && heard.includes('lost 1006 true'));
  });

  it('is not assumed if answers come, again and again', async () => {
    for (let i = 1; i <= 5; i++) {
      environment.pass(PING_INTERVAL_MS);
      assert.equal(pings().length, i);
      answer(pings().at(-1).id, { result: {} });
      await settle();
    }
    environment.pass(PING_TIMEOUT_MS);
    assert.equal(environment.sockets.length, 1);
  });

  it('is not assumed if something else comes meanwhile', () => {
    environment.pass(PING_INTERVAL_MS);
    environment.pass(PING_TIMEOUT_MS - 1);
    environment.socket.say({ event: 'node_removed', id: 'x' });
    environment.pass(1);
    assert.equal(environment.sockets.length, 1);
  });

  it('is not looked for while nobody can see the page', () => {
    environment.isHidden = true;
    environment.pass(10 * PING_INTERVAL_MS);
    assert.equal(pings().length, 0);
    environment.isHidden = false;
    environment.pass(PING_INTERVAL_MS);
    assert.equal(pings().length, 1);
  });
});
