/** Finding 5 of the review, between real machines: each a network namespace with a host name and hosts file of its own. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { registryUrl, relayUrl } from '../../src/protocol/url.ts';
import { Daemon } from '../support/daemon.ts';
import { type Machine, Network, type PeerProcess, whyNoNamespaces } from '../support/namespaces.ts';

const TOKEN = 'a token+with/signs=';
const why = await whyNoNamespaces();

describe('agents on other machines', { skip: why }, () => {
  let network: Network;
  let daemon: Daemon;
  let laptop: Machine;
  let neighbour: PeerProcess;
  let agent: PeerProcess;
  let dashboard: PeerProcess;
  let port: number;

  before(async () => {
    network = await Network.create();
    // Two machines called ubuntu. Where the daemon is, there is an agent too, on the very port of the other one.
    const server = await network.addMachine('ubuntu', { 'laptop.lan': '10.77.0.2' });
    laptop = await network.addMachine('ubuntu');
    const desk = await network.addMachine('desk');
    daemon = await Daemon.start({ launcher: server.launcher, host: server.address, env: { HYPI_TOKEN: TOKEN } });
    neighbour = server.startPeer();
    agent = laptop.startPeer();
    dashboard = desk.startPeer();
    port = await agent.call('serve', { says: 'laptop' });
    await neighbour.call('serve', { says: 'server', port });
  });

  after(async () => {
    try {
      await daemon?.stop();
    } finally {
      await network?.remove();
    }
  });

  /** One agent under one id, wherever it says it is: several at one address could not be told apart. */
  async function register(peer: PeerProcess, machine: string, from = daemon.origin): Promise<string> {
    const id = peer === agent ? 'agent' : 'neighbour';
    await peer.call('register', { registryUrl: registryUrl(from, TOKEN), port, id, machine });
    return id;
  }

  async function say(id: string, from = daemon.origin): Promise<{ message: string; tookMs: number }> {
    return dashboard.call('say', { relayUrl: relayUrl(from, id, TOKEN), text: 'hello' });
  }

  test('the machines have names of their own', async () => {
    assert.equal(await agent.call('hostName'), 'ubuntu');
    assert.equal(await dashboard.call('hostName'), 'desk');
  });

  for (const [what, machine] of [
    ['a name that the daemon’s hosts file knows', 'laptop.lan'],
    ['a name that does not resolve: where it registered from', 'nobody-knows-me'],
    ['the daemon’s own name, for two machines may have the same: where it registered from', 'ubuntu'],
    ['localhost: where it registered from', 'localhost'],
    ['a loopback address: where it registered from', '127.0.0.1'],
    ['a loopback address in disguise: where it registered from', '2130706433'],
    ['the daemon’s own address: where it registered from', '10.77.0.1'],
    ['an IPv4 address', '10.77.0.2'],
    ['an IPv6 address', 'fd77::2'],
  ] as const) {
    test(`reached by ${what}`, async () => {
      const id = await register(agent, machine);
      assert.equal((await say(id)).message, 'laptop: hello');
    });
  }

  test('reached at the address that it registered from, over IPv6 throughout', async () => {
    const origin = `http://[fd77::1]:${daemon.port}`;
    const id = await register(agent, 'localhost', origin);
    assert.equal((await say(id, origin)).message, 'laptop: hello');
  });

  test('an agent on the daemon’s machine, by that machine’s name, is that one', async () => {
    const id = await register(neighbour, 'ubuntu', `http://127.0.0.1:${daemon.port}`);
    assert.equal((await say(id)).message, 'server: hello');
  });

  test('two behind one address with the same port: neither is reached by a guess, unless the other would refuse', async () => {
    const sentence = /^Cannot reach agent: another came from the same address and port/;
    const url = registryUrl(daemon.origin, TOKEN);
    const id = await register(agent, 'nobody-knows-me');
    // Its port is forwarded to nobody here: what is dialled comes to the first one.
    const hidden = laptop.startPeer();
    const elsewhere = await hidden.call('serve', { says: 'hidden' });
    const registerHidden = (dialKey?: string) =>
      hidden.call('register', {
        registryUrl: url,
        port: elsewhere,
        shownPort: port,
        id: 'hidden',
        machine: 'nor-me',
        dialKey,
      });
    await registerHidden();
    for (const each of [id, 'hidden']) assert.match(JSON.parse((await say(each)).message).error, sentence);
    // Whoever dials the first comes to no other, since the other has a key; who dials the other may come to the first.
    await registerHidden('key');
    assert.equal((await say(id)).message, 'laptop: hello');
    assert.match(JSON.parse((await say('hidden')).message).error, sentence);
    // By another name, which says where it is, the first is found all the same.
    await registerHidden();
    assert.equal((await say(await register(agent, 'laptop.lan'))).message, 'laptop: hello');
    await hidden.call('deregister', { port: elsewhere, id: 'hidden' });
    assert.equal((await say(await register(agent, 'nobody-knows-me'))).message, 'laptop: hello');
  });

  test('an agent that vanished without a word: the client is told within five seconds', async () => {
    const id = await register(agent, 'laptop.lan');
    await laptop.blackhole('10.77.0.1');
    const { message, tookMs } = await say(id);
    assert.match(JSON.parse(message).error, /^Cannot reach agent/);
    assert.ok(tookMs < 7500, `${tookMs} ms`);
  });
});

describe('a name server that never answers', { skip: why }, () => {
  test('leaves time for the address that the agent came from', async (t) => {
    const network = await Network.create();
    t.after(() => network.remove());
    // As a system has it by default: 5 s for each of two tries.
    const server = await network.addMachine('server', {}, 'nameserver 127.0.0.1\n');
    const laptop = await network.addMachine('laptop');
    await server.startPeer().call('serveNoNames');
    const daemon = await Daemon.start({
      launcher: server.launcher,
      host: server.address,
      env: { HYPI_TOKEN: TOKEN },
    });
    t.after(() => daemon.stop());
    const agent = laptop.startPeer();
    const port = await agent.call('serve', { says: 'laptop' });
    const url = registryUrl(daemon.origin, TOKEN);
    await agent.call('register', { registryUrl: url, port, id: 'agent', machine: 'laptop.lan' });
    const relay = relayUrl(daemon.origin, 'agent', TOKEN);
    const { message, tookMs } = await laptop.startPeer().call('say', { relayUrl: relay, text: 'hello' });
    assert.equal(message, 'laptop: hello');
    assert.ok(tookMs < 4500, `${tookMs} ms`);
  });
});

describe('an agent behind NAT, 50 ms away', { skip: why }, () => {
  const DELAY_MS = 50;
  const ROUND_TRIP_MS = 2 * DELAY_MS;
  let network: Network;
  let daemon: Daemon;
  let dashboard: PeerProcess;

  before(async () => {
    network = await Network.create();
    const server = await network.addMachine('server');
    const desk = await network.addMachine('desk');
    const hidden = await network.addMachineBehindNat('laptop', DELAY_MS);
    daemon = await Daemon.start({ launcher: server.launcher, host: server.address, env: { HYPI_TOKEN: TOKEN } });
    dashboard = desk.startPeer();
    const agent = hidden.startPeer();
    // Another one behind the same address, with the same machine name and port.
    const neighbour = hidden.startPeer();
    const url = registryUrl(daemon.origin, TOKEN);
    await agent.call('registerBack', { registryUrl: url, id: 'agent', says: 'agent', machine: 'ubuntu' });
    await neighbour.call('registerBack', { registryUrl: url, id: 'neighbour', says: 'neighbour', machine: 'ubuntu' });
  });

  after(async () => {
    try {
      await daemon?.stop();
    } finally {
      await network?.remove();
    }
  });

  async function say(id: string): Promise<{ message: string; openedMs: number }> {
    return dashboard.call('say', { relayUrl: relayUrl(daemon.origin, id, TOKEN), text: 'hello' });
  }

  /** Nothing but the machine's load makes it longer, so the shortest tells. */
  async function shortest(tries: number, measure: () => Promise<number>): Promise<number> {
    let ms = Number.POSITIVE_INFINITY;
    for (let i = 0; i < tries; i++) ms = Math.min(ms, await measure());
    return ms;
  }

  test('each is reached, and none for the other', async () => {
    for (const id of ['agent', 'neighbour', 'agent']) assert.equal((await say(id)).message, `${id}: hello`);
  });

  test('with the spare, opening a relay takes one round trip', async () => {
    const ms = await shortest(5, async () => {
      // The next spare is there.
      await delay(6 * ROUND_TRIP_MS);
      return (await say('agent')).openedMs;
    });
    assert.ok(ms >= ROUND_TRIP_MS - 5 && ms < 2 * ROUND_TRIP_MS, `${ms} ms`);
  });

  test('without one, at most five', async () => {
    const ms = await shortest(5, async () => {
      await delay(6 * ROUND_TRIP_MS);
      const both = await Promise.all([say('agent'), say('agent')]);
      return Math.max(...both.map(({ openedMs }) => openedMs));
    });
    assert.ok(ms >= 2 * ROUND_TRIP_MS && ms < 5 * ROUND_TRIP_MS, `${ms} ms`);
  });
});
