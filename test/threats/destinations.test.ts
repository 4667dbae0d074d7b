/**
 * Threats: the daemon is made to connect to where a stranger wants (SSRF), or to itself. The policy is tested case by case
 * in test/proxy/destination.test.ts, several machines in test/e2e/namespaces.test.ts.
 */
import assert from 'node:assert/strict';
import dnsCallbacks from 'node:dns';
import dns from 'node:dns/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createHypivisor } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { RawAgent } from '../support/raw-peer.ts';

/** What a client of the relay is told instead of getting one. */
async function refusalOf(url: string): Promise<string> {
  const client = await Client.open(url);
  const { error } = await client.nextJson();
  await client.closed;
  return error;
}

const node = (id: string, machine: string, port: number) => ({ id, machine, cwd: '', port, status: 'active' });

describe('without a token', () => {
  let daemon: Daemon;
  let uplink: Client;
  before(async () => {
    daemon = await Daemon.start();
    uplink = await Client.open(daemon.registryUrl);
  });
  after(async () => {
    uplink?.terminate();
    await daemon?.stop();
  });

  async function refusalFor(machine: string, port: number): Promise<string> {
    assert.deepEqual((await uplink.call('register', node('n', machine, port))).result, { status: 'registered' });
    return refusalOf(daemon.relayUrl('n'));
  }

  const ELSEWHERE = 'Cannot reach agent: without a token, only where it registered from';
  for (const machine of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '[::ffff:a9fe:a9fe]',
    '10.0.0.1',
    '192.0.2.1',
    '2001:db8::1',
    '[fd00::1]',
  ]) {
    test(`${machine} is not dialled`, async () => assert.equal(await refusalFor(machine, 22), ELSEWHERE));
  }
  // 169.254.169.254 as the system's resolver may read it, or not.
  for (const machine of ['2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.16689662']) {
    test(`${machine} is not dialled`, async () => {
      assert.match(await refusalFor(machine, 22), new RegExp(`^(${ELSEWHERE}$|Cannot resolve agent: )`));
    });
  }

  const itself = ['localhost', 'LOCALHOST.', 'x.localhost', os.hostname(), '127.0.0.1', '127.8.9.10', '0.0.0.0', '::'];
  const disguised = [
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
  ];
  for (const machine of [...itself, ...disguised, '127.1']) {
    test(`${machine}, with the daemon's port, is the daemon, and is not dialled`, async () => {
      const refusal = await refusalFor(machine, daemon.port);
      assert.match(refusal, /^Cannot (reach agent: its address is the hypivisor itself$|resolve agent: )/);
    });
  }

  test('this machine’s own addresses, with the daemon’s port, are the daemon', async () => {
    for (const infos of Object.values(os.networkInterfaces())) {
      for (const { address } of infos ?? []) {
        assert.match(await refusalFor(address, daemon.port), /its address is the hypivisor itself$/, address);
      }
    }
  });

  test('a service that is no agent is told nothing of the client, and the client nothing it said', async (t) => {
    const heads: string[] = [];
    const service = await RawAgent.serve(async (peer) => {
      heads.push(await peer.head());
      peer.socket.end('HTTP/1.1 404 x-101\r\nServer: internal-service\r\nContent-Length: 6\r\n\r\nsecret');
    });
    t.after(() => service.stop());
    assert.equal(await refusalFor('localhost', service.port), 'Agent handshake failed: status 404');
    assert.match(heads[0] ?? '', /^GET \/ HTTP\/1\.1\r\nHost: localhost:\d+\r\n/);
  });
});

describe('a name whose addresses change', () => {
  /** Answers look-ups one after another, and counts those that come, however they are made. */
  function mockLookups(t: TestContext, answers: string[][]): () => number {
    const find = async () => (answers.shift() ?? []).map((address) => ({ address, family: 4 }));
    const ours = t.mock.method(dns, 'lookup', find as unknown as typeof dns.lookup);
    const theirs = t.mock.method(dnsCallbacks, 'lookup');
    syncBuiltinESMExports();
    t.after(() => {
      ours.mock.restore();
      theirs.mock.restore();
      syncBuiltinESMExports();
    });
    return () => ours.mock.callCount() + theirs.mock.callCount();
  }

  test('is looked up once a relay, and the address that was judged is the one connected to', async (t) => {
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1' });
    t.after(() => hypivisor.close());
    const { port } = await hypivisor.listen();
    // Clients are told addresses, so no look-up is theirs.
    const registryUrl = `ws://127.0.0.1:${port}/ws`;
    const uplink = await Client.open(registryUrl);
    t.after(() => uplink.terminate());

    const lookUps = mockLookups(t, [['127.0.0.1'], ['192.0.2.9'], ['192.0.2.9', '127.0.0.1'], ['127.0.0.1']]);
    await uplink.call('register', node('n', 'rebinding.example', agent.port));
    assert.equal(lookUps(), 0, 'registering dials nobody, and asks nobody');
    const relayUrl = `${registryUrl}/agent/n`;
    const relayed = await Client.open(relayUrl);
    relayed.socket.send('hello');
    assert.equal(String((await relayed.next()).payload), 'hello');
    assert.equal(lookUps(), 1);
    assert.match(await refusalOf(relayUrl), /only where it registered from$/);
    assert.equal(lookUps(), 2);
    // Of several addresses those that may be dialled.
    const mixed = await Client.open(relayUrl);
    mixed.socket.send('again');
    assert.equal(String((await mixed.next()).payload), 'again');
    assert.equal(lookUps(), 3);
    // A name that comes to mean the daemon.
    await uplink.call('register', node('n', 'rebinding.example', port));
    assert.match(await refusalOf(relayUrl), /its address is the hypivisor itself$/);
    assert.equal(lookUps(), 4);
    for (const client of [relayed, mixed]) client.terminate();
  });
});

describe('two daemons that are each other’s agents', () => {
  for (const token of ['', 'secret']) {
    test(`make no loop, ${token ? 'with' : 'without'} a token`, async (t) => {
      const one = await Daemon.start();
      t.after(() => one.stop());
      const other = await Daemon.start({ env: { HYPI_TOKEN: token } });
      t.after(() => other.stop());
      const query = `?token=${token}`;
      const uplinks = [await Client.open(one.registryUrl), await Client.open(`${other.registryUrl}${query}`)] as const;
      for (const uplink of uplinks) t.after(() => uplink.terminate());
      await uplinks[0].call('register', node('loop', '127.0.0.1', other.port));
      await uplinks[1].call('register', node('loop', '127.0.0.1', one.port));
      // A dial asks for /, where a daemon has no WebSocket: the first step is the last.
      const status = token ? 401 : 404;
      assert.equal(await refusalOf(one.relayUrl('loop')), `Agent handshake failed: status ${status}`);
      assert.equal(await refusalOf(`${other.relayUrl('loop')}${query}`), 'Agent handshake failed: status 404');
      await eventually(() => {
        for (const { stderr } of [one, other]) assert.equal(stderr.split('"request refused"').length - 1, 1, stderr);
      });
    });
  }
});
