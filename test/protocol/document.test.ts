/** docs/protocol.md is played: its conversations are held with the built daemon, and with the extension. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { InitState } from '../../src/protocol/agent.ts';
import { deltaSubprotocols } from '../../src/protocol/subprotocol.ts';
import { ImitationPi } from '../agent/imitation.ts';
import { type Json, joinChat, Peer, RosterPeer } from '../real/peers.ts';
import { Daemon } from '../support/daemon.ts';

interface Conversation {
  kind: string;
  actors: string[];
  lines: string[];
  /** Where it stands in the page. */
  line: number;
}

const page = await readFile(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const conversations: Conversation[] = [...page.matchAll(/^```(registry|relay) ([\w ]+)\n([\s\S]*?)^```$/gm)].map(
  (match) => ({
    kind: match[1] as string,
    actors: (match[2] as string).split(' '),
    lines: (match[3] as string).split('\n').filter(Boolean),
    line: page.slice(0, match.index).split('\n').length,
  }),
);

/** `…` is anything; objects may have more fields than the page shows. */
function assertShown(actual: Json, shown: Json, where: string): void {
  if (shown === '…') {
    assert.notEqual(actual, undefined, where);
  } else if (Array.isArray(shown)) {
    assert.ok(Array.isArray(actual) && actual.length === shown.length, `${where}: ${JSON.stringify(actual)}`);
    for (const [i, element] of shown.entries()) assertShown(actual[i], element, `${where}[${i}]`);
  } else if (typeof shown === 'object' && shown !== null) {
    assert.ok(typeof actual === 'object' && actual !== null, `${where}: ${JSON.stringify(actual)}`);
    for (const [name, value] of Object.entries(shown)) assertShown(actual[name], value, `${where}.${name}`);
  } else {
    assert.equal(actual, shown, where);
  }
}

async function play({ lines, line: first }: Conversation, peer: Peer): Promise<void> {
  for (const [i, line] of lines.entries()) {
    const where = `docs/protocol.md:${first + i + 1}`;
    const text = line.slice(2);
    if (text === '(closes)') {
      peer.socket.close(1000);
      await peer.end();
    } else if (text.startsWith('(is closed with ')) {
      assert.equal((await peer.end()).code, Number.parseInt(text.slice('(is closed with '.length), 10), where);
    } else if (line.startsWith('→ ')) {
      await peer.opened;
      peer.say(text);
    } else {
      assert.ok(line.startsWith('← '), where);
      assertShown(await peer.next(() => true, `${where}: ${text}`), JSON.parse(text), where);
    }
  }
}

describe('docs/protocol.md', () => {
  let daemon: Daemon;
  let home = '';
  let pi: ImitationPi;
  const kept = { HOME: process.env.HOME, HYPIVISOR_WS: process.env.HYPIVISOR_WS };

  before(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-protocol-'));
    daemon = await Daemon.start();
  });
  after(async () => {
    await pi?.shutdown('quit');
    for (const [name, value] of Object.entries(kept)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await daemon.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('has conversations of both kinds', () => {
    assert.ok(conversations.filter(({ kind }) => kind === 'registry').length >= 8);
    assert.ok(conversations.filter(({ kind }) => kind === 'relay').length >= 4);
    // A block that this test does not know is one that nobody plays.
    assert.equal(page.match(/^(?:→|←) /gm)?.length, conversations.flatMap(({ lines }) => lines).length);
  });

  it('says what the registry says', async () => {
    const peers = new Map<string, Peer>();
    for (const conversation of conversations.filter(({ kind }) => kind === 'registry')) {
      const [actor = ''] = conversation.actors;
      const peer = peers.get(actor) ?? new RosterPeer(daemon.origin);
      peers.set(actor, peer);
      await play(conversation, peer);
    }
    for (const peer of peers.values()) peer.socket.terminate();
  });

  it('says what a relay and an agent say', async () => {
    process.env.HOME = home;
    process.env.HYPIVISOR_WS = daemon.registryUrl;
    pi = new ImitationPi();
    const roster = new RosterPeer(daemon.origin);
    await roster.event('init');
    await pi.start();
    const { id } = await roster.joined();
    for (const conversation of conversations.filter(({ kind }) => kind === 'relay')) {
      const { actors } = conversation;
      const [probe, { epoch, seq }] = (await joinChat(daemon.origin, id)) as [Peer, InitState];
      probe.socket.close();
      await probe.end();
      const position = actors.includes('resume') ? { epoch, seq } : null;
      const offer = actors.includes('delta') ? deltaSubprotocols(null, position) : [];
      await play(conversation, new Peer(daemon.relayUrl(actors[0] === 'pi' ? id : 'nobody'), offer));
    }
    roster.socket.terminate();
  });
});
