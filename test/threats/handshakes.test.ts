/**
 * Threats: requests smuggled past a proxy, fields smuggled into a handshake, and an agent whose answer is not to be
 * trusted. Malformed heads are in test/e2e/http.test.ts, wrong answers of agents in test/proxy/dial.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { rawFrame } from '../support/raw-frame.ts';
import {
  CLOSE,
  clientFrame,
  fieldOf,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';

const TOKEN = 'the-token';
const BEARER = `Authorization: Bearer ${TOKEN}`;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

let daemon: Daemon;
before(async () => {
  daemon = await Daemon.start({ env: { HYPI_TOKEN: TOKEN } });
});
after(() => daemon.stop());

/** All that is answered to these bytes, until the daemon ends the connection. */
async function answerTo(bytes: string): Promise<string> {
  const peer = await RawPeer.connect(daemon.port);
  peer.socket.write(bytes);
  return (await peer.rest()).toString('latin1');
}

const isOneAnswer = (text: string) => text.split('HTTP/1.1 ').length === 2;

describe('smuggling', () => {
  const hidden = `GET /ws HTTP/1.1\r\nHost: a\r\n${BEARER}\r\n\r\n`;
  const bodies: [what: string, fields: string[], body: string][] = [
    ['a body of some length', [`Content-Length: ${hidden.length}`], hidden],
    ['a body of no length', ['Content-Length: 0', 'Content-Length: 0'], hidden],
    ['an empty Content-Length', ['Content-Length: '], hidden],
    ['a chunked body', ['Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`],
    ['a body chunked in disguise', ['Transfer-Encoding: xchunked'], `0\r\n\r\n${hidden}`],
    ['both', ['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`],
  ];
  for (const path of ['/ws', '/ws/agent/x']) {
    for (const [what, fields, body] of bodies) {
      test(`an upgrade of ${path} with ${what} is refused, and what follows is answered by nobody`, async () => {
        const answer = await answerTo(`${upgradeRequest(path, [BEARER, ...fields])}${body}`);
        assert.match(answer, /^HTTP\/1\.1 400 .*\r\n(.+\r\n)*Connection: close\r\n/);
        assert.ok(isOneAnswer(answer), answer);
      });
    }
  }

  test('a request behind one that was refused gets no answer, though it has the token', async () => {
    const right = upgradeRequest('/ws', [BEARER]);
    for (const [first, status] of [
      [upgradeRequest('/ws'), 401],
      [upgradeRequest('/ws/agent/x?token=wrong'), 401],
      [upgradeRequest('/ws', [BEARER]).replace('Version: 13', 'Version: 8'), 426],
      [upgradeRequest('/ws', [BEARER]).replace('websocket', 'h2c'), 426],
      [upgradeRequest('/ws/agent/', [BEARER]), 400],
    ] as const) {
      const answer = await answerTo(first + right);
      assert.ok(answer.startsWith(`HTTP/1.1 ${status} `) && isOneAnswer(answer), answer);
    }
  });

  test('a request behind a relay that was refused is taken for the frames it should be', async () => {
    const answer = await answerTo(upgradeRequest('/ws/agent/nobody', [BEARER]) + hidden);
    assert.match(answer, /^HTTP\/1\.1 101 [\s\S]*\{"error":"Agent not found"\}/);
    assert.ok(isOneAnswer(answer), answer);
  });
});

/** A raw agent for as long as the test runs. */
async function serve(t: TestContext, onPeer: (peer: RawPeer) => unknown): Promise<RawAgent> {
  const agent = await RawAgent.serve(onPeer);
  t.after(() => agent.stop());
  return agent;
}

/** Registers an agent for as long as the test runs. @returns its relay's path, with the token */
async function relayTo(t: TestContext, id: string, agent: RawAgent, fields = {}): Promise<string> {
  const uplink = await Client.open(`${daemon.registryUrl}?token=${TOKEN}`);
  t.after(() => uplink.terminate());
  const info = { id, machine: '127.0.0.1', cwd: '', port: agent.port, status: 'active', ...fields };
  assert.deepEqual((await uplink.call('register', info)).result, { status: 'registered' });
  return `/ws/agent/${encodeURIComponent(id)}?token=${TOKEN}`;
}

describe('header injection', () => {
  test('no id and no key of an agent can break out of its field', async (t) => {
    const heads: string[] = [];
    const agent = await serve(t, async (peer) => {
      const head = await peer.head();
      heads.push(head);
      peer.socket.write(upgradeResponse(head));
    });
    for (const id of ['x\u2028Host: evil', '" Host: evil', 'x%0d%0aHost: evil', '\u{10d}\u{10a}Host: evil']) {
      const path = await relayTo(t, id, agent, { machine: 'localhost', dialKey: 'key' });
      (await RawPeer.upgrade(daemon.port, path)).socket.destroy();
    }
    for (const head of heads) {
      assert.equal(
        head.replace(/(?<=-Key: ).*/, 'KEY'),
        [
          'GET / HTTP/1.1',
          `Host: localhost:${agent.port}`,
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Key: KEY',
          'Sec-WebSocket-Version: 13',
          'Authorization: Bearer key',
          '',
          '',
        ].join('\r\n'),
      );
    }
    assert.equal(heads.length, 4);
  });

  test('no machine can: with control characters it is refused, and with others no request is made of it', async (t) => {
    let dials = 0;
    const agent = await serve(t, () => dials++);
    const uplink = await Client.open(`${daemon.registryUrl}?token=${TOKEN}`);
    t.after(() => uplink.terminate());
    const register = (machine: string) =>
      uplink.call('register', { id: 'evil', machine, cwd: '', port: agent.port, status: 'active' });
    for (const machine of [
      'localhost\r\nX: 1',
      'localhost\n',
      '\0localhost',
      'localhost\t',
      '127.0.0.1\x7f',
      'a\x85b',
    ]) {
      assert.equal((await register(machine)).error, 'Invalid node info', JSON.stringify(machine));
    }
    for (const machine of [
      'localhost X: 1',
      '"localhost"',
      '127.0.0.1:80',
      'a@127.0.0.1',
      '127.0.0.1/x',
      '127.0.0.1%0d%0a',
    ]) {
      assert.deepEqual((await register(machine)).result, { status: 'registered' });
      const client = await Client.open(`${daemon.relayUrl('evil')}?token=${TOKEN}`);
      assert.match((await client.nextJson()).error, /^Cannot resolve agent: /, machine);
      client.terminate();
    }
    assert.equal(dials, 0);
  });

  test('a relay to an id with line ends is one to an unknown agent, and repeats nothing', async () => {
    for (const id of ['%0d%0aSet-Cookie:a', '%00', '%0a', 'x%0d%0a%0d%0a<script>']) {
      const peer = await RawPeer.upgrade(daemon.port, `/ws/agent/${id}?token=${TOKEN}`);
      assert.deepEqual(await peer.json(), { error: 'Agent not found' });
      peer.socket.destroy();
    }
  });

  test('subprotocols are tokens, and reach the agent rewritten; all else of the client stays behind', async (t) => {
    let requestHead = '';
    const agent = await serve(t, async (peer) => {
      requestHead = await peer.head();
      peer.socket.write(upgradeResponse(requestHead, ['Sec-WebSocket-Protocol: b']));
    });
    const path = await relayTo(t, 'choosy', agent);
    for (const value of ['a b', 'a"b', 'a/b', 'a\\b', '"a"', 'a;b', 'a\x7f', 'ä', '()', 'a, a']) {
      assert.match(
        await answerTo(upgradeRequest(path, [`Sec-WebSocket-Protocol: ${value}`])),
        /^HTTP\/1\.1 400 /,
        value,
      );
    }
    assert.equal(requestHead, '');
    const fields = ['Sec-WebSocket-Protocol: a,\t b ,,', `Sec-WebSocket-Protocol: hypi.token.eA`, 'X-Evil: 1'];
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest(path, fields));
    assert.equal(fieldOf(await peer.head(), 'Sec-WebSocket-Protocol'), 'b');
    assert.equal(fieldOf(requestHead, 'Sec-WebSocket-Protocol'), 'a, b');
    assert.doesNotMatch(requestHead, /evil|token/i);
    peer.socket.destroy();
  });
});

describe('a hostile agent', () => {
  /** What a client gets of an agent that answers so: all bytes until the end. */
  async function heardOf(
    t: TestContext,
    id: string,
    answer: (requestHead: string) => (string | Buffer)[],
    fields = [''],
  ) {
    const agent = await serve(t, async (peer) => {
      for (const bytes of answer(await peer.head())) peer.socket.write(bytes);
    });
    const path = await relayTo(t, id, agent);
    const peer = await RawPeer.connect(daemon.port);
    t.after(() => peer.socket.destroy());
    peer.socket.write(upgradeRequest(path, fields.filter(Boolean)));
    return { peer, agent };
  }

  test('its answer in pieces, its first words close behind: no 101 before it is whole, and not a byte is lost', async (t) => {
    const agent = await serve(t, async (peer) => {
      const bytes = Buffer.concat([Buffer.from(upgradeResponse(await peer.head())), serverFrame(TEXT, 'first words')]);
      const end = bytes.indexOf('\r\n\r\n') + 3;
      for (const byte of bytes.subarray(0, end)) {
        peer.socket.write(Buffer.of(byte));
        await delay(0);
      }
      await delay(100);
      assert.equal(client.socket.bytesRead, 0);
      peer.socket.write(bytes.subarray(end));
      assert.equal((await peer.frame()).payload.toString(), 'said early');
      peer.socket.write(serverFrame(TEXT, 'heard'));
    });
    const path = await relayTo(t, 'dripping', agent);
    const client = await RawPeer.connect(daemon.port);
    t.after(() => client.socket.destroy());
    client.socket.write(Buffer.concat([Buffer.from(upgradeRequest(path)), clientFrame(TEXT, 'said early')]));
    assert.match(await client.head(), /^HTTP\/1\.1 101 /);
    assert.equal((await client.frame()).payload.toString(), 'first words');
    assert.equal((await client.frame()).payload.toString(), 'heard');
  });

  test('fields of its answer stay with the daemon, and the accept is that of the client’s key', async (t) => {
    const evil = ['Set-Cookie: a=b', 'Access-Control-Allow-Origin: *', 'Location: https://evil.example', 'Server: x'];
    const { peer } = await heardOf(t, 'chatty', (head) => [upgradeResponse(head, evil)]);
    const expected = upgradeResponse(`Sec-WebSocket-Key: ${KEY}\r\n`);
    assert.deepEqual((await peer.head()).split('\r\n').sort(), expected.split('\r\n').sort());
  });

  test('it may choose nothing that was not offered, a token least of all', async (t) => {
    const offer = ['Sec-WebSocket-Protocol: hypi.v1, hypi.token.eA'];
    for (const choice of ['hypi.token.eA', 'hypi.v2', 'HYPI.V1', 'hypi.v1, hypi.v1', '"hypi.v1"', '']) {
      const answer = (head: string) => [upgradeResponse(head, [`Sec-WebSocket-Protocol: ${choice}`])];
      const { peer } = await heardOf(t, 'chooser', answer, offer);
      assert.equal(fieldOf(await peer.head(), 'Sec-WebSocket-Protocol'), 'hypi.v1');
      assert.match(String((await peer.json()).error), /^Agent handshake failed: /, choice);
    }
  });

  test('a second answer behind its 101 is no frame: the client hears nothing of it but a close', async (t) => {
    const second = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<b>x</b>';
    const { peer } = await heardOf(t, 'splitter', (head) => [upgradeResponse(head) + second]);
    await peer.head();
    const close = await peer.frame();
    assert.deepEqual([close.opcode, close.payload.readUInt16BE(0)], [CLOSE, 1014]);
    assert.equal((await peer.rest()).length, 0);
  });

  const maskingKey = Buffer.from('37fa213d', 'hex');
  const illegal: [what: string, bytes: Buffer][] = [
    ['a masked frame', rawFrame({ opcode: TEXT, payload: 'x', maskingKey })],
    ['a reserved opcode', rawFrame({ opcode: 11 })],
    ['a ping in fragments', rawFrame({ opcode: 9, fin: false })],
    ['a ping of 126 bytes', rawFrame({ opcode: 9, payload: 'x'.repeat(126) })],
    ['a length that is not minimal', rawFrame({ opcode: TEXT, payload: 'x', lengthForm: 64 })],
    ['a length past 2^53', rawFrame({ opcode: TEXT, announcedLength: 2n ** 53n + 2n })],
    ['a length with the highest bit set', rawFrame({ opcode: TEXT, announcedLength: 2n ** 63n })],
  ];
  for (const [what, bytes] of illegal) {
    test(`${what} ends the relay: 1014 for the client, a reason for the agent`, async (t) => {
      const { peer, agent } = await heardOf(t, 'illegal', (head) => [
        upgradeResponse(head),
        serverFrame(TEXT, 'fine'),
        bytes,
      ]);
      await peer.head();
      assert.equal((await peer.frame()).payload.toString(), 'fine');
      const close = await peer.frame();
      assert.deepEqual([close.opcode, close.payload.readUInt16BE(0)], [CLOSE, 1014]);
      const told = await agent.peers[0]?.frame();
      assert.equal(told?.opcode, CLOSE);
      assert.ok([1002, 1009].includes(told?.payload.readUInt16BE(0) ?? 0));
    });
  }

  test('a frame of 4 PiB that never comes costs nothing, and holds up no other client', async (t) => {
    const { peer } = await heardOf(t, 'boaster', (head) => [
      upgradeResponse(head),
      rawFrame({ opcode: TEXT, announcedLength: 2n ** 52n }),
    ]);
    await peer.head();
    const client = await Client.open(`${daemon.registryUrl}?token=${TOKEN}`);
    assert.equal((await client.call('ping')).result.status, 'healthy');
    client.terminate();
  });
});
