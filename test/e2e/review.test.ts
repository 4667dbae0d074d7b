/** The findings of a review of this daemon's predecessor. None of them may come back. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createHypivisor } from 'hypivisor';
import { registryUrl, relayUrl } from '../../src/protocol/url.ts';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { splits } from '../support/every-split.ts';
import { eventually, footprint, inLanes } from '../support/measure.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  fieldOf,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';

const MEBIBYTE = 1024 * 1024;
const LANES = 32;

let daemon: Daemon;
before(async () => {
  daemon = await Daemon.start();
});
after(() => daemon.stop());

describe('finding 1: a dashboard that disconnects while nothing is broadcast leaves nothing behind', () => {
  const ROUNDS = 10_000;
  const CLOSE_FRAME = clientFrame(CLOSE, closePayload(1000));

  /** Connects, is greeted, and leaves in one of four ways. */
  async function comeAndGo(port: number, round: number): Promise<void> {
    const peer = await RawPeer.upgrade(port, '/ws');
    switch (round % 4) {
      case 0:
        peer.socket.end();
        break;
      case 1:
        peer.socket.resetAndDestroy();
        break;
      case 2:
        peer.socket.write(CLOSE_FRAME);
        break;
      case 3:
        // Half a frame, and away.
        peer.socket.write(clientFrame(TEXT, 'half of it').subarray(0, 8));
        peer.socket.destroy();
    }
    await peer.closed;
  }

  test('10,000 rounds: the daemon holds the descriptors, threads and memory it held before', async (t) => {
    // With a small young generation garbage does not look like a leak: what grows is what stays.
    const daemon = await Daemon.start({ env: { NODE_OPTIONS: '--max-semi-space-size=1' } });
    t.after(() => daemon.stop());
    await inLanes(2000, LANES, (round) => comeAndGo(daemon.port, round));
    await delay(300);
    const before = await footprint(daemon.pid);
    await inLanes(ROUNDS, LANES, (round) => comeAndGo(daemon.port, round));
    const after = await eventually(async () => {
      const now = await footprint(daemon.pid);
      assert.ok(now.descriptors <= before.descriptors, `${now.descriptors} descriptors, were ${before.descriptors}`);
      assert.ok(now.threads <= before.threads, `${now.threads} threads, were ${before.threads}`);
      return now;
    });
    const grownBytes = after.residentBytes - before.residentBytes;
    assert.ok(grownBytes < 16 * MEBIBYTE, `grown by ${grownBytes} bytes`);
    const client = await Client.open(daemon.registryUrl);
    assert.equal((await client.call('ping')).result.status, 'healthy');
    await client.close();
  });

  test('in this process too: no connection, no socket, no timer, no memory stays', async (t) => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heapBytes = async () => {
      // What was reached from a socket's last callbacks is free only some turns later.
      for (let i = 0; i < 5; i++) {
        await nextTurn();
        collectGarbage();
      }
      return process.memoryUsage().heapUsed;
    };
    const resources = () => {
      const held = process.getActiveResourcesInfo();
      return Object.fromEntries(
        ['TCPSocketWrap', 'Timeout', 'Immediate'].map((kind) => [kind, held.filter((name) => name === kind).length]),
      );
    };
    const hypivisor = createHypivisor({ port: 0 });
    t.after(() => hypivisor.close());
    const { port } = await hypivisor.listen();
    await inLanes(500, LANES, (round) => comeAndGo(port, round));
    await eventually(() => assert.equal(hypivisor.counters.connections, 0));
    const heapBefore = await heapBytes();
    const resourcesBefore = resources();
    await inLanes(ROUNDS / 4, LANES, (round) => comeAndGo(port, round));
    await eventually(() => {
      assert.equal(hypivisor.counters.connections, 0);
      assert.deepEqual(resources(), resourcesBefore);
    });
    const grownBytes = (await heapBytes()) - heapBefore;
    assert.ok(grownBytes < ROUNDS * 100, `the heap has grown by ${grownBytes} bytes`);
  });
});

describe('finding 2: a binary message arrives as the same binary message', () => {
  const SIZES = [1, 2, 125, 126, 127, 1000, 65535, 65536, 65537, MEBIBYTE, 3 * MEBIBYTE];

  test('1 B to 3 MiB, to the agent and back', async (t) => {
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(daemon.registryUrl, 'binary-echo');
    const client = await Client.open(daemon.relayUrl('binary-echo'));
    for (const size of SIZES) {
      const payload = randomBytes(size);
      client.socket.send(payload);
      const answer = await client.next();
      assert.equal(answer.isBinary, true, `${size} bytes`);
      assert.ok(answer.payload.equals(payload), `${size} bytes`);
    }
    client.socket.send('text');
    assert.deepEqual(await client.next(), { payload: Buffer.from('text'), isBinary: false });
    await client.close();
  });

  test('in fragments, with a ping between them', async (t) => {
    const payload = randomBytes(3 * MEBIBYTE);
    const cuts = [0, 1, 126, 70_000, MEBIBYTE, payload.length];
    const agent = await Agent.serve({
      onConnection(socket) {
        socket.on('message', (received, isBinary) => {
          socket.send(JSON.stringify({ isBinary, same: payload.equals(received as Buffer) }));
          for (let i = 1; i < cuts.length; i++) {
            const fin = i === cuts.length - 1;
            socket.send(payload.subarray(cuts[i - 1], cuts[i]), { binary: true, fin });
            if (!fin) socket.ping();
          }
        });
      },
    });
    t.after(() => agent.stop());
    await agent.register(daemon.registryUrl, 'binary-fragments');
    const client = await Client.open(daemon.relayUrl('binary-fragments'));
    let pings = 0;
    client.socket.on('ping', () => pings++);
    for (let i = 1; i < cuts.length; i++) {
      client.socket.send(payload.subarray(cuts[i - 1], cuts[i]), { binary: true, fin: i === cuts.length - 1 });
    }
    assert.deepEqual(await client.nextJson(), { isBinary: true, same: true });
    const answer = await client.next();
    assert.equal(answer.isBinary, true);
    assert.ok(answer.payload.equals(payload));
    assert.equal(pings, cuts.length - 2);
    await client.close();
  });
});

describe('finding 3: any token authorises, encoded, and raw if a URL can contain it', () => {
  const TOKENS = [
    'plain-token',
    'abc+123',
    'a=b==',
    'a&b',
    '100%',
    '%2B',
    '%zz',
    'a#b',
    'a/b?c',
    'with spaces + pluses',
    'schlüssel-鍵-🔑',
    '+=&%#/ ü',
  ];

  /** The status of the answer to an upgrade request. */
  async function statusOf(port: number, path: string, fields: string[] = []): Promise<number> {
    const peer = await RawPeer.connect(port);
    peer.socket.write(upgradeRequest(path, fields));
    const status = Number((await peer.head()).split(' ')[1]);
    peer.socket.destroy();
    return status;
  }

  for (const token of TOKENS) {
    test(`the token ${token}`, async (t) => {
      const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', token });
      t.after(() => hypivisor.close());
      const { port } = await hypivisor.listen();
      const encoded = encodeURIComponent(token);
      const base64url = Buffer.from(token).toString('base64url');
      // What `escape` would never touch, escaped as well.
      const wholly = Buffer.from(token).toString('hex').replace(/../g, '%$&');
      for (const path of ['/ws', '/ws/agent/nobody']) {
        const right: [how: string, path: string, fields?: string[]][] = [
          ['encoded', `${path}?token=${encoded}`],
          ['encoded but for its pluses', `${path}?token=${encoded.replaceAll('%2B', '+')}`],
          ['every byte encoded', `${path}?token=${wholly}`],
          ['among other parameters', `${path}?a=b&token=${encoded}&c`],
          ['as a bearer', path, [`Authorization: Bearer ${token}`]],
          ['as a subprotocol', path, [`Sec-WebSocket-Protocol: hypi.v1, hypi.token.${base64url}`]],
        ];
        if (!/[&# ]/.test(token)) right.push(['raw', `${path}?token=${token}`]);
        for (const [how, target, fields] of right) assert.equal(await statusOf(port, target, fields), 101, how);

        const wrong: [how: string, path: string, fields?: string[]][] = [
          ['none', path],
          ['empty', `${path}?token=`],
          ['nameless', `${path}?token`],
          ['another name', `${path}?Token=${encoded}`],
          ['more than the token', `${path}?token=${encoded}x`],
          ['less than the token', `${path}?token=${encodeURIComponent([...token].slice(0, -1).join(''))}`],
          ['encoded twice', `${path}?token=${encodeURIComponent(wholly)}`],
          ['given twice', `${path}?token=${encoded}&token=${encoded}`],
          ['a malformed escape', `${path}?token=${encoded}%`],
          ['no UTF-8', `${path}?token=%ff%fe`],
          ['another bearer', path, [`Authorization: Bearer ${token}x`]],
          ['another scheme', path, [`Authorization: Basic ${token}`]],
          ['two bearers', path, [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`]],
          ['another subprotocol', path, [`Sec-WebSocket-Protocol: hypi.token.${base64url}A`]],
        ];
        for (const [how, target, fields] of wrong) assert.equal(await statusOf(port, target, fields), 401, how);
      }
    });
  }

  test('the daemon takes its token from the environment, and clients written with ws come in', async (t) => {
    const token = '+=&%#/ ü🔑';
    const daemon = await Daemon.start({ env: { HYPI_TOKEN: token } });
    t.after(() => daemon.stop());
    await assert.rejects(Client.open(daemon.registryUrl), /401/);
    await assert.rejects(Client.open(`${daemon.registryUrl}?token=wrong`), /401/);
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(registryUrl(daemon.origin, token), 'behind-a-token');
    const ways = [
      Client.open(relayUrl(daemon.origin, 'behind-a-token', token)),
      Client.open(daemon.relayUrl('behind-a-token'), [], {
        headers: { Authorization: `Bearer ${Buffer.from(token).toString('latin1')}` },
      }),
      Client.open(daemon.relayUrl('behind-a-token'), [
        'hypi.v1',
        `hypi.token.${Buffer.from(token).toString('base64url')}`,
      ]),
    ];
    for (const client of await Promise.all(ways)) {
      client.socket.send('hello');
      assert.equal((await client.next()).payload.toString(), 'hello');
      await client.close();
    }
  });
});

describe('finding 4: a handshake in any number of TCP segments is whole, and what follows it is not lost', () => {
  /** Long enough for the daemon to read each piece by itself. */
  const BETWEEN_PIECES_MS = 1;

  async function writeInPieces(peer: RawPeer, chunks: readonly Buffer[]): Promise<void> {
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      peer.socket.write(chunk);
      await delay(BETWEEN_PIECES_MS);
    }
  }

  /** Runs a check with each way to cut the bytes, many at once. */
  async function withEverySplit(bytes: Buffer, check: (chunks: Buffer[]) => Promise<void>): Promise<void> {
    const all = [...splits(bytes, { rounds: 10 })];
    await inLanes(all.length, LANES, async (at) => {
      const { how, chunks } = all[at] as (typeof all)[number];
      await check(chunks).catch((error) => {
        throw new Error(`${how}: ${error.message}`, { cause: error });
      });
    });
  }

  test('the registry: a request and two messages, byte by byte and at every split', async () => {
    const bytes = Buffer.concat([
      Buffer.from(upgradeRequest('/ws')),
      clientFrame(TEXT, '{"id":1,"method":"ping"}'),
      clientFrame(TEXT, '{"id":2,"method":"nothing"}'),
    ]);
    await withEverySplit(bytes, async (chunks) => {
      const peer = await RawPeer.connect(daemon.port);
      await writeInPieces(peer, chunks);
      assert.match(await peer.head(), /^HTTP\/1\.1 101 /);
      assert.equal((await peer.json()).event, 'init');
      assert.equal((await peer.json()).id, 1);
      assert.deepEqual(await peer.json(), { id: 2, error: 'Method not found: nothing' });
      peer.socket.destroy();
    });
  });

  test('a relay: a request and the first message, byte by byte and at every split', async (t) => {
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(daemon.registryUrl, 'early');
    const bytes = Buffer.concat([Buffer.from(upgradeRequest('/ws/agent/early')), clientFrame(TEXT, 'the first words')]);
    await withEverySplit(bytes, async (chunks) => {
      const peer = await RawPeer.connect(daemon.port);
      await writeInPieces(peer, chunks);
      assert.match(await peer.head(), /^HTTP\/1\.1 101 /);
      assert.equal((await peer.frame()).payload.toString(), 'the first words');
      peer.socket.destroy();
    });
  });

  test('an agent: its 101 and its first message, in one segment, byte by byte and at every split', async (t) => {
    const ways: Buffer[][] = [];
    const message = serverFrame(TEXT, '{"type":"init_state"}');
    const length = upgradeResponse(upgradeRequest('/')).length + message.length;
    for (const { chunks } of splits(Buffer.alloc(length), { rounds: 10 })) ways.push(chunks);
    const agent = await RawAgent.serve(async (peer) => {
      const way = ways.pop() as Buffer[];
      const bytes = Buffer.concat([Buffer.from(upgradeResponse(await peer.head())), message]);
      let at = 0;
      const chunks = way.map(({ length }) => {
        at += length;
        return bytes.subarray(at - length, at);
      });
      await writeInPieces(peer, chunks);
    });
    t.after(() => agent.stop());
    const uplink = await Client.open(daemon.registryUrl);
    t.after(() => uplink.terminate());
    await uplink.call('register', {
      id: 'dripping',
      machine: '127.0.0.1',
      cwd: '/',
      port: agent.port,
      status: 'active',
    });
    await inLanes(ways.length, LANES, async () => {
      const client = await Client.open(daemon.relayUrl('dripping'));
      assert.deepEqual(await client.nextJson(), { type: 'init_state' });
      client.terminate();
    });
    assert.equal(ways.length, 0);
  });
});

test('finding 5: an agent is reached by node.machine, not at a fixed 127.0.0.1', async (t) => {
  const called = async (name: string, host: string, port = 0) => {
    const agent = await Agent.serve({ host, server: { port }, onConnection: (socket) => socket.send(name) });
    t.after(() => agent.stop());
    return agent;
  };
  // Three machines, one port, and nobody registers the first.
  const decoy = await called('decoy', '127.0.0.1');
  const second = await called('second', '127.0.0.2', decoy.port);
  const third = await called('third', '127.0.0.3', decoy.port);
  await second.register(daemon.registryUrl, 'on-the-second', { machine: '127.0.0.2' });
  await third.register(daemon.registryUrl, 'on-the-third', { machine: '127.0.0.3' });
  for (const name of ['second', 'third', 'second']) {
    const client = await Client.open(daemon.relayUrl(`on-the-${name}`));
    assert.equal((await client.next()).payload.toString(), name);
    await client.close();
  }
  assert.equal(decoy.server.clients.size, 0);
});

describe("findings 6 and 7: clients find the daemon at the page's address, and the token is encoded once", () => {
  const TOKEN = 'a+b&c=d%2F#é';

  test('a page that another host served comes back to that host', async (t) => {
    const daemon = await Daemon.start({ env: { HYPI_TOKEN: TOKEN } });
    t.after(() => daemon.stop());
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(registryUrl(`ws://127.0.0.1:${daemon.port}/ws`, TOKEN), 'an agent/é');
    // With a token the daemon serves every address, and any of them may be the one in the browser's address bar.
    for (const host of ['127.0.0.1', '127.0.0.2', 'localhost']) {
      const page = `http://${host}:${daemon.port}/?theme=dark#agents`;
      assert.equal((await fetch(page)).status, 200);
      const dashboard = await Client.open(registryUrl(page, TOKEN), [], { origin: new URL(page).origin });
      assert.deepEqual(
        (await dashboard.nextJson()).nodes.map((node: { id: string }) => node.id),
        ['an agent/é'],
      );
      const relay = await Client.open(relayUrl(page, 'an agent/é', TOKEN), [], { origin: new URL(page).origin });
      relay.socket.send('hello');
      assert.equal((await relay.next()).payload.toString(), 'hello');
      await Promise.all([dashboard.close(), relay.close()]);
    }
  });

  test('every URL has the host of the page, and one encoding of the token', () => {
    for (const url of [registryUrl('https://box.tail.net/', TOKEN), relayUrl('https://box.tail.net/', 'id', TOKEN)]) {
      assert.equal(new URL(url).host, 'box.tail.net');
      assert.equal(new URL(url).protocol, 'wss:');
      assert.equal(new URL(url).search, `?token=${encodeURIComponent(TOKEN)}`);
      assert.equal(new URL(url).searchParams.get('token'), TOKEN);
    }
    assert.equal(registryUrl('http://box:4000/deep/page.html', null), 'ws://box:4000/deep/ws');
    assert.equal(relayUrl('ws://box:4000/ws', 'a b', null), 'ws://box:4000/ws/agent/a%20b');
  });
});

test('finding 8: 1,000 keys sent to an agent are 16 random bytes each, all different', async (t) => {
  const keys: string[] = [];
  const agent = await RawAgent.serve(async (peer) => {
    keys.push(fieldOf(await peer.head(), 'Sec-WebSocket-Key') ?? '');
    peer.socket.destroy();
  });
  t.after(() => agent.stop());
  const uplink = await Client.open(daemon.registryUrl);
  t.after(() => uplink.terminate());
  await uplink.call('register', { id: 'keys', machine: '127.0.0.1', cwd: '/', port: agent.port, status: 'active' });
  await inLanes(1000, LANES, async () => {
    const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/keys');
    await peer.frame();
    peer.socket.destroy();
  });
  assert.equal(keys.length, 1000);
  assert.equal(new Set(keys).size, 1000);
  const bytes = keys.map((key) => Buffer.from(key, 'base64'));
  for (const [i, key] of keys.entries()) {
    assert.equal(bytes[i]?.length, 16);
    assert.equal(bytes[i]?.toString('base64'), key, 'canonical base64');
  }
  // Of 256 values 1,000 random bytes take about 251. A clock's upper bytes would hardly change.
  for (let at = 0; at < 16; at++) {
    const values = new Set(bytes.map((key) => key[at]));
    assert.ok(values.size > 220, `byte ${at} takes ${values.size} values only`);
  }
});

describe('finding 9: no test writes into the home folder or needs one', () => {
  const TESTS = fileURLToPath(new URL('../', import.meta.url));

  /** Runs tests that look into folders and start programs, in a process with another home. */
  async function runTests(home: string): Promise<void> {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const files = ['host/directories.test.ts', 'host/jail.test.ts'].map((file) => join(TESTS, file));
    const run = spawn(process.execPath, ['--import', 'tsx', '--test', ...files], {
      env: { ...env, HOME: home, USERPROFILE: home },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    run.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const [exitCode] = await once(run, 'close');
    assert.equal(exitCode, 0, output);
    assert.match(output, /pass [1-9]/);
  }

  test('the folder tests pass without a home folder, and leave an existing one unchanged', async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    t.after(() => rm(home, { recursive: true, force: true }));
    await Promise.all([runTests('/dev/null/home'), runTests(home)]);
    assert.deepEqual(await readdir(home), []);
  });

  test('a daemon that is tested writes its log into a home of its own, and no more', async () => {
    const ownHome = await readdir(daemon.home, { recursive: true });
    assert.deepEqual(ownHome.sort(), ['.pi', '.pi/logs', '.pi/logs/hyper-pi.jsonl']);
  });

  test('the daemon itself runs without a home folder', async (t) => {
    const daemon = await Daemon.start({ env: { HOME: '/dev/null/home' } });
    t.after(() => daemon.stop());
    const client = await Client.open(daemon.registryUrl);
    assert.deepEqual((await client.call('list_nodes')).result, []);
    assert.match((await client.call('list_directories')).error, /^Cannot use the home folder: /);
    await client.close();
  });
});
