/** Threats: a peer forges lines of the log or speaks to the terminal that shows it; a secret gets into it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, inLanes } from '../support/measure.ts';
import { RawPeer, upgradeRequest } from '../support/raw-peer.ts';

/** What would end a line, move a cursor or turn the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const DANGEROUS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

const FORGED = '{"ts":"2020-01-01T00:00:00.000Z","level":"error","component":"hypivisor","msg":"forged"}';
const HOSTILE = [
  `\n${FORGED}\n`,
  `\r\n00:00:00 error forged`,
  `\u2028${FORGED}`,
  '\x1b[2J\x1b]0;owned\x07',
  '\x9b2J',
  '\u202egpj.exe',
  '\0',
  'x'.repeat(250),
];

const withoutEnd = (text: string) => text.slice(0, text.lastIndexOf('\n') + 1);

for (const format of ['json', 'text']) {
  test(`ids and machines cannot forge lines or reach a terminal, as ${format}`, async (t) => {
    const daemon = await Daemon.start({ args: ['--log-format', format] });
    t.after(() => daemon.stop());
    const uplink = await Client.open(daemon.registryUrl);
    t.after(() => uplink.terminate());
    const place = { cwd: '', port: 9, status: 'active' };
    for (const text of HOSTILE) {
      const relay = await Client.open(daemon.relayUrl(text));
      assert.equal((await relay.nextJson()).error, 'Agent not found');
      relay.terminate();
      await uplink.call('register', { ...place, id: text, machine: text });
      await uplink.call('deregister', { id: text });
      await uplink.call(text);
    }
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest('/ws', [`Origin: https://evil.example${'\x9b'}2J`]));
    await peer.rest();
    await uplink.call('register', { ...place, id: 'the last', machine: '' });

    const logs = [() => daemon.stderr, () => readFile(join(daemon.home, '.pi', 'logs', 'hyper-pi.jsonl'), 'utf8')];
    for (const [index, read] of logs.entries()) {
      const lines = await eventually(async () => {
        const text = withoutEnd(await read());
        assert.match(text, /the last/);
        return text.trimEnd().split('\n');
      });
      for (const line of lines) {
        assert.doesNotMatch(line, DANGEROUS);
        if (index === 0 && format === 'text') {
          assert.match(line, /^\d\d:\d\d:\d\d (info|warn) /);
          assert.doesNotMatch(line, /^00:00:00/);
        } else {
          const { msg, level, ...fields } = JSON.parse(line);
          assert.ok(msg !== 'forged' && level !== 'error', line);
          for (const value of Object.values(fields)) assert.ok(String(value).length <= 200, line);
        }
      }
      const refused = lines.filter((line) => line.includes('relay refused'));
      assert.equal(refused.length, HOSTILE.length);
    }
  });
}

test('a flood of refused requests is a few lines, and all are counted', async (t) => {
  const REFUSED = 1500;
  const daemon = await Daemon.start({ args: ['--log-format', 'json'] });
  t.after(() => daemon.stop());
  const startedAt = performance.now();
  await inLanes(REFUSED, 50, async () => {
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest('/ws', ['Origin: https://evil.example']));
    await peer.rest();
    peer.socket.destroy();
  });
  const seconds = Math.ceil((performance.now() - startedAt) / 1000) + 1;
  await daemon.stop();
  const lines = daemon.stderr.trimEnd().split('\n');
  const refused = lines.map((line) => JSON.parse(line)).filter(({ msg, kind }) => /refused/.test(kind ?? msg));
  assert.ok(refused.length <= 100 * seconds + 1, `${refused.length} lines`);
  const told = refused.filter(({ msg }) => msg === 'request refused').length;
  const counted = refused.reduce((sum, { suppressed = 0 }) => sum + suppressed, 0);
  assert.equal(told + counted, REFUSED);
});

test('no token, right or wrong, and no dialKey is in any line, however it was presented', async (t) => {
  const daemon = await Daemon.start({ env: { HYPI_TOKEN: 'the secret+%' } });
  t.after(() => daemon.stop());
  const encoded = encodeURIComponent('the secret+%');
  const offered = `hypi.token.${Buffer.from('the secret+%').toString('base64url')}`;
  const agent = await Agent.serve();
  t.after(() => agent.stop());
  await agent.register(`${daemon.registryUrl}?token=${encoded}`, 'keyed', { dialKey: 'a-dial-key-secret' });
  const relays = [
    await Client.open(`${daemon.relayUrl('keyed')}?token=${encoded}`),
    await Client.open(daemon.relayUrl('keyed'), ['hypi.v1', offered]),
    await Client.open(daemon.relayUrl('keyed'), [], { headers: { Authorization: 'Bearer the secret+%' } }),
    await Client.open(daemon.relayUrl('nobody'), ['hypi.v1', offered]),
  ];
  for (const relay of relays) relay.terminate();
  for (const fields of [
    ['Authorization: Bearer a-wrong-secret'],
    [`Sec-WebSocket-Protocol: hypi.token.${Buffer.from('a-wrong-secret').toString('base64url')}`],
    ['X-Broken : a-wrong-secret'],
  ]) {
    const peer = await RawPeer.connect(daemon.port);
    peer.socket.write(upgradeRequest('/ws?token=a-wrong-secret', fields));
    await peer.rest();
  }
  await agent.uplink?.close();
  const file = join(daemon.home, '.pi', 'logs', 'hyper-pi.jsonl');
  for (const read of [() => daemon.stderr, () => readFile(file, 'utf8')]) {
    const text = await eventually(async () => {
      const text = await read();
      for (const msg of ['relay opened', 'relay closed', 'relay refused', 'request refused', 'node offline']) {
        assert.ok(text.includes(msg), msg);
      }
      return text;
    });
    assert.doesNotMatch(text, /secret|dGhlIHNlY3JldC|YS13cm9uZy/);
    assert.ok(!text.includes(encoded));
  }
});
