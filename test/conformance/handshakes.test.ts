/**
 * The opening handshake (RFC 6455, section 4) with what is missing, wrong or doubled, put to the built daemon: as a server by
 * clients, and as a client by agents. And who ends TCP (section 7.1.1).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
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

/** Changes one of a head's lines; nothing takes the line away. */
type Change = [line: RegExp | 'behind', by: string];

const KEY = /Sec-WebSocket-Key: .*\r\n/;
const VERSION = /Sec-WebSocket-Version: .*\r\n/;
const UPGRADE = /Upgrade: websocket\r\n/;
const CONNECTION = /Connection: Upgrade\r\n/;
const ACCEPT = /Sec-WebSocket-Accept: .*\r\n/;
const HOST = /Host: .*\r\n/;
const START = /^.*\r\n/;

function changed(head: string, [line, by]: Change): string {
  if (line === 'behind') return head.replace(/\r\n$/, `${by}\r\n`);
  assert.match(head, line);
  return head.replace(line, () => by);
}

const doubled = (field: string): Change => ['behind', `${field}\r\n`];
const keyOf = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');

const REQUESTS: [what: string, change: Change, status: number][] = [
  ['as it should be', [HOST, 'Host: localhost\r\n'], 101],
  ['the fields in another case and order', [UPGRADE, 'UPGRADE: WebSocket\r\n'], 101],
  ['Connection with other options', [CONNECTION, 'Connection: keep-alive, upgrade\r\n'], 101],
  ['Upgrade with other protocols', [UPGRADE, 'Upgrade: h2c, websocket\r\n'], 101],
  ['an unknown field', doubled('X-Any: thing'), 101],

  ['POST', [START, 'POST /ws HTTP/1.1\r\n'], 405],
  ['HEAD', [START, 'HEAD /ws HTTP/1.1\r\n'], 405],
  ['CONNECT', [START, 'CONNECT /ws HTTP/1.1\r\n'], 405],
  ['a method in lower case', [START, 'get /ws HTTP/1.1\r\n'], 405],
  ['HTTP/1.0', [START, 'GET /ws HTTP/1.0\r\n'], 400],
  ['HTTP/2.0', [START, 'GET /ws HTTP/2.0\r\n'], 400],
  ['no HTTP version', [START, 'GET /ws\r\n'], 400],
  ['a fragment in the target', [START, 'GET /ws#x HTTP/1.1\r\n'], 404],

  ['no Host', [HOST, ''], 400],
  ['two Hosts', doubled('Host: localhost'), 400],
  ['a Host that is none', [HOST, 'Host: a b\r\n'], 400],

  ['no Upgrade', [UPGRADE, ''], 426],
  ['another Upgrade', [UPGRADE, 'Upgrade: h2c\r\n'], 426],
  ['an Upgrade that only begins so', [UPGRADE, 'Upgrade: websockets\r\n'], 426],
  ['no Connection', [CONNECTION, ''], 400],
  ['another Connection', [CONNECTION, 'Connection: close\r\n'], 400],
  ['an empty Connection', [CONNECTION, 'Connection: \r\n'], 400],

  ['no version', [VERSION, ''], 426],
  ['version 8', [VERSION, 'Sec-WebSocket-Version: 8\r\n'], 426],
  ['version 0', [VERSION, 'Sec-WebSocket-Version: 0\r\n'], 426],
  ['version 14', [VERSION, 'Sec-WebSocket-Version: 14\r\n'], 426],
  ['version 013', [VERSION, 'Sec-WebSocket-Version: 013\r\n'], 426],
  ['an empty version', [VERSION, 'Sec-WebSocket-Version: \r\n'], 426],
  ['two versions', doubled('Sec-WebSocket-Version: 13'), 400],

  ['no key', [KEY, ''], 400],
  ['an empty key', [KEY, 'Sec-WebSocket-Key: \r\n'], 400],
  ['two keys', doubled(`Sec-WebSocket-Key: ${keyOf(16)}`), 400],
  ['a key of 15 bytes', [KEY, `Sec-WebSocket-Key: ${keyOf(15)}\r\n`], 400],
  ['a key of 16 bytes', [KEY, `Sec-WebSocket-Key: ${keyOf(16)}\r\n`], 101],
  ['a key of 17 bytes', [KEY, `Sec-WebSocket-Key: ${keyOf(17)}\r\n`], 400],
  ['a key without its padding', [KEY, `Sec-WebSocket-Key: ${keyOf(16).slice(0, 22)}\r\n`], 400],
  ['a key that is not base64', [KEY, `Sec-WebSocket-Key: ${'*'.repeat(22)}==\r\n`], 400],
  ['a key with bits to spare', [KEY, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==\r\n'], 400],

  ['a subprotocol twice', doubled('Sec-WebSocket-Protocol: a, a'), 400],
  ['a subprotocol that is no token', doubled('Sec-WebSocket-Protocol: a b'), 400],
  ['extensions that are no list of them', doubled('Sec-WebSocket-Extensions: ;'), 400],
  ['a body', doubled('Content-Length: 1'), 400],
  ['a chunked body', doubled('Transfer-Encoding: chunked'), 400],
];

describe('as a server', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ args: ['--log-file', 'none'] });
  });
  after(() => daemon.stop());

  for (const [what, change, status] of REQUESTS) {
    test(`${status}: ${what}`, async (t) => {
      const peer = await RawPeer.connect(daemon.port, { allowHalfOpen: true });
      t.after(() => peer.socket.destroy());
      peer.socket.write(changed(upgradeRequest('/ws'), change));
      const head = await peer.head();
      assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
      if (status === 101) return;
      assert.equal(fieldOf(head, 'Sec-WebSocket-Accept'), null);
      // "a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of understanding" (4.4)
      if (status === 426) assert.equal(fieldOf(head, 'Sec-WebSocket-Version'), '13');
      await peer.rest();
      assert.ok(!peer.socket.destroyed, 'the daemon ended its side, and we have not');
    });
  }

  // "the server MUST close the TCP connection immediately; the client SHOULD wait for the server" (7.1.1)
  for (const [what, first, closeCode] of [
    ['whose close was answered', clientFrame(CLOSE, closePayload(1000)), 1000],
    ['that was failed', serverFrame(TEXT, 'not masked'), 1002],
  ] as const) {
    test(`it ends TCP first, and says nothing behind its close: a connection ${what}`, async (t) => {
      const peer = await RawPeer.connect(daemon.port, { allowHalfOpen: true });
      t.after(() => peer.socket.destroy());
      peer.socket.write(upgradeRequest('/ws'));
      await peer.head();
      assert.equal((await peer.json()).event, 'init');
      peer.socket.write(Buffer.concat([first, clientFrame(TEXT, '{"id":1,"method":"ping"}')]));
      const { opcode, payload } = await peer.frame();
      assert.deepEqual([opcode, payload.readUInt16BE()], [CLOSE, closeCode]);
      assert.deepEqual(await peer.rest(), Buffer.alloc(0));
      assert.ok(!peer.socket.destroyed, 'the daemon ended its side, and we have not');
    });
  }
});

const RESPONSES: [what: string, change: Change, sentence: string | null][] = [
  ['as it should be', [START, 'HTTP/1.1 101 Switching Protocols\r\n'], null],
  ['another reason', [START, 'HTTP/1.1 101 \r\n'], null],
  ['Upgrade in another case', [UPGRADE, 'Upgrade: WebSocket\r\n'], null],
  ['Connection with other options', [CONNECTION, 'Connection: keep-alive, upgrade\r\n'], null],

  ['status 200', [START, 'HTTP/1.1 200 OK\r\n'], 'status 200'],
  ['status 100', [START, 'HTTP/1.1 100 Continue\r\n'], 'status 100'],
  ['a redirection', [START, 'HTTP/1.1 301 Moved\r\n'], 'status 301'],
  ['a 404 whose reason has a 101', [START, 'HTTP/1.1 404 x-101\r\n'], 'status 404'],
  ['HTTP/1.0', [START, 'HTTP/1.0 101 Switching Protocols\r\n'], ''],
  ['no HTTP', [START, 'SSH-2.0-OpenSSH\r\n'], ''],
  ['no Upgrade', [UPGRADE, ''], ''],
  ['another Upgrade', [UPGRADE, 'Upgrade: h2c\r\n'], ''],
  ['more than one Upgrade', [UPGRADE, 'Upgrade: websocket, h2c\r\n'], ''],
  ['no Connection', [CONNECTION, ''], ''],
  ['another Connection', [CONNECTION, 'Connection: close\r\n'], ''],
  ['no Accept', [ACCEPT, ''], ''],
  ['an empty Accept', [ACCEPT, 'Sec-WebSocket-Accept: \r\n'], ''],
  ['the Accept of another key', [ACCEPT, 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'], ''],
  ['two Accepts', doubled('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='), ''],
  ['a subprotocol that nobody offered', doubled('Sec-WebSocket-Protocol: a'), ''],
  ['an extension that nobody offered', doubled('Sec-WebSocket-Extensions: permessage-deflate'), ''],
  ['a body', doubled('Content-Length: 5'), ''],
  ['a chunked body', doubled('Transfer-Encoding: chunked'), ''],
];

describe('as a client', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ args: ['--log-file', 'none'] });
  });
  after(() => daemon.stop());

  for (const [what, change, sentence] of RESPONSES) {
    test(`${sentence === null ? 'takes' : 'fails'}: ${what}`, async (t) => {
      const agent = await RawAgent.serve(async (peer) => {
        const response = upgradeResponse(await peer.head());
        peer.socket.write(Buffer.concat([Buffer.from(changed(response, change)), serverFrame(TEXT, '"welcome"')]));
      });
      t.after(() => agent.stop());
      const uplink = await Client.open(daemon.registryUrl);
      t.after(() => uplink.terminate());
      const node = { id: what, machine: '127.0.0.1', cwd: '/', port: agent.port, status: 'active' };
      await uplink.call('register', node);
      const client = await Client.open(daemon.relayUrl(what), [], { perMessageDeflate: false });
      const first = await client.nextJson();
      if (sentence === null) {
        assert.equal(first, 'welcome');
        client.terminate();
      } else {
        assert.match(first.error, new RegExp(`^Agent handshake failed: ${sentence}`));
        assert.equal((await client.closed).code, 1000);
      }
    });
  }
});
