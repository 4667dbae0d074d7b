/** Threats: a web page drives the daemon (CSWSH), also one that came by DNS rebinding; somebody guesses the token. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { inLanes } from '../support/measure.ts';
import { RawPeer, upgradeRequest } from '../support/raw-peer.ts';

const TOKEN = '0123456789abcdef0123456789abcdef';
const EVERYWHERE = 'everywhere';
const NOWHERE = 'nowhere';

/** Origin fields, and the one host name for which a page of that origin may ask without a token. */
const ORIGINS: [origins: string[], allowedFor: string][] = [
  [[], EVERYWHERE],
  [['http://localhost:5173'], EVERYWHERE],
  [['http://127.0.0.1'], EVERYWHERE],
  [['http://[::1]:31415'], EVERYWHERE],
  [['https://app.example'], EVERYWHERE],
  [['http://app.example'], NOWHERE],
  [['https://app.example:8443'], NOWHERE],
  [['http://hypi.example:3000'], 'hypi.example'],
  [['http://192.0.2.7'], '192.0.2.7'],
  [['https://evil.example'], NOWHERE],
  [['http://localhost.evil.example'], NOWHERE],
  [['http://127.0.0.1.evil.example'], NOWHERE],
  [['https://app.example.evil.example'], NOWHERE],
  [['null'], NOWHERE],
  [['file://'], NOWHERE],
  [[''], NOWHERE],
  [['http://localhost https://evil.example'], NOWHERE],
  [['http://localhost', 'https://evil.example'], NOWHERE],
  [['http://localhost', 'http://localhost'], NOWHERE],
];
const FLAGS = ['--allow-origin', 'https://app.example', '--allow-host', 'hypi.example'];

/** Host fields; null for the name where two readers could disagree on it, which is a 400 whatever else is right. */
const HOSTS: [hosts: string[], name: string | null][] = [
  [['127.0.0.1:31415'], '127.0.0.1'],
  [['localhost'], 'localhost'],
  [['[::1]:31415'], '[::1]'],
  [['192.0.2.7:31415'], '192.0.2.7'],
  [['HYPI.example.'], 'hypi.example'],
  [['app.example'], 'app.example'],
  [['evil.example'], 'evil.example'],
  [['evil.example:31415'], 'evil.example'],
  [['127.0.0.1.evil.example'], '127.0.0.1.evil.example'],
  [[], null],
  [[''], null],
  [['evil.example/'], null],
  [['localhost', 'localhost'], null],
  [['localhost', 'evil.example'], null],
];

/** How a token is presented. */
const TOKENS: [what: string, query: string, fields: string[], right: boolean][] = [
  ['no token', '', [], false],
  ['a wrong token', '?token=wrong', [], false],
  ['the token', `?token=${TOKEN}`, [], true],
  ['the token as Bearer', '', [`Authorization: Bearer ${TOKEN}`], true],
  [
    'the token as a subprotocol',
    '',
    [`Sec-WebSocket-Protocol: hypi.v1, hypi.token.${Buffer.from(TOKEN).toString('base64url')}`],
    true,
  ],
];

const PATHS = ['/ws', '/ws/agent/nobody'];

function request(path: string, origins: string[], hosts: string[], fields: string[]): string {
  const hostFields = hosts.map((host) => `Host: ${host}\r\n`).join('');
  const originFields = origins.map((origin) => `Origin: ${origin}`);
  return upgradeRequest(path, [...originFields, ...fields]).replace('Host: 127.0.0.1\r\n', hostFields);
}

/** The status of the answer. One that is no 101 has to be the last that is heard. */
async function answerTo(port: number, bytes: string): Promise<number> {
  const peer = await RawPeer.connect(port);
  peer.socket.write(bytes);
  const head = await peer.head();
  const status = Number(head.slice(9, 12));
  if (status !== 101) {
    assert.match(head, /^Connection: (Upgrade, )?close\r$/m, bytes);
    // A body of plain text, and no frame behind it.
    assert.equal(Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1]), (await peer.rest()).length, bytes);
  }
  peer.socket.destroy();
  return status;
}

describe('Origin × Host × token, over real upgrades', { timeout: 60_000 }, () => {
  for (const daemonToken of ['', TOKEN]) {
    test(daemonToken ? 'a daemon with a token' : 'a daemon without a token', async (t) => {
      const daemon = await Daemon.start({ args: FLAGS, env: { HYPI_TOKEN: daemonToken } });
      t.after(() => daemon.stop());
      const cases = ORIGINS.flatMap((origin) =>
        HOSTS.flatMap((host) => TOKENS.flatMap((token) => PATHS.map((path) => ({ origin, host, token, path })))),
      );
      await inLanes(cases.length, 16, async (index) => {
        const { origin, host, token, path } = cases[index] as (typeof cases)[number];
        const [[origins, allowedFor], [hosts, name], [, query, fields, right]] = [origin, host, token];
        let expected = 101;
        if (name === null) expected = 400;
        else if (daemonToken) expected = right ? 101 : 401;
        else if (allowedFor !== EVERYWHERE && allowedFor !== name) expected = 403;
        const bytes = request(`${path}${query}`, origins, hosts, fields);
        assert.equal(await answerTo(daemon.port, bytes), expected, bytes);
      });
    });
  }
});

describe('a guessed token', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ env: { HYPI_TOKEN: TOKEN } });
  });
  after(() => daemon.stop());

  async function answer(path: string): Promise<string> {
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest(path));
    return (await peer.rest()).toString('latin1').replace(/^Date: .*\r\n/m, '');
  }

  test('none of its bytes right, or all but one: the very same answer', async () => {
    const expected = await answer('/ws?token=');
    assert.match(expected, /^HTTP\/1\.1 401 /);
    for (let right = 0; right < TOKEN.length; right++) {
      assert.equal(await answer(`/ws?token=${TOKEN.slice(0, right).padEnd(TOKEN.length, 'x')}`), expected);
      assert.equal(await answer(`/ws?token=${TOKEN.slice(0, right)}`), expected);
    }
  });

  test('the answer tells nothing of paths, agents or origins either', async () => {
    const uplink = await Client.open(`${daemon.registryUrl}?token=${TOKEN}`);
    const info = { id: 'known', machine: 'localhost', cwd: '', port: 1, status: 'active' };
    assert.equal((await uplink.call('register', info)).error, undefined);
    const expected = await answer('/ws');
    for (const path of ['/ws/agent/known', '/ws/agent/unknown', '/ws/agent/', '/nothing', '/']) {
      assert.equal(await answer(path), expected, path);
    }
    uplink.terminate();
  });

  test('twice, misspelt, malformed or cut: wrong, and never a crash', async () => {
    const queries = [`token=${TOKEN}&token=${TOKEN}`, `token=${TOKEN}&token=`, `Token=${TOKEN}`, `token=${TOKEN}%00`];
    for (const query of [...queries, 'token', 'token=', '%', 'token=%', 'token=%zz', 'token=%c0%af', 'token=%ff']) {
      assert.match(await answer(`/ws?${query}`), /^HTTP\/1\.1 401 /, query);
    }
    assert.equal(await answerTo(daemon.port, upgradeRequest(`/ws?token=${TOKEN}`)), 101);
  });
});
