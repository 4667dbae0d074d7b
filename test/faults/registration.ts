/** A registry connection from its first byte to its last, a stage at a time: an agent's, and a dashboard's. */
import assert from 'node:assert/strict';
import type { Json } from '../support/client.ts';
import { readFrames } from '../support/raw-frame.ts';
import { CLOSE, clientFrame, closePayload, type RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import type { Told } from './conversation.ts';

export interface Stage {
  name: string;
  /** @param register the message with which an agent registers */
  reach: (peer: RawPeer, register: Buffer) => Promise<unknown>;
  /** The peer has read its 101. */
  upgraded: boolean;
  /** The daemon has its node in the roster. */
  registered: boolean;
  /** Once it says nothing more, within the limits: what it is told where it still reads. */
  silence: Told;
}

const REQUEST = upgradeRequest('/ws');
const PING_REQUEST = clientFrame(TEXT, '{"id":"ping","method":"ping"}');

/** Silence for three times `pingIntervalMs`, or before any request: cut. */
const CUT: Told = ['end'];
/** "a frame or message not whole after `frameTimeoutMs`: 1008, FIN" */
const FRAME_TOOK_TOO_LONG: Told = [1008, 'end'];

export async function openRegistry(peer: RawPeer): Promise<void> {
  peer.socket.write(REQUEST);
  await peer.head();
  assert.equal((await peer.json()).event, 'init');
}

/** Registered, and nothing else under way. */
export async function registerAgent(peer: RawPeer, register: Buffer): Promise<void> {
  await openRegistry(peer);
  peer.socket.write(register);
  for (let message: Json = {}; message.id !== 'register'; ) message = await peer.json();
}

/** It has read the answer to its close, and has not ended its side. */
async function close(peer: RawPeer): Promise<void> {
  peer.socket.write(clientFrame(CLOSE, closePayload(1000)));
  for (;;) {
    const { opcode, payload } = await peer.frame();
    if (opcode !== CLOSE) continue;
    assert.equal(payload.readUInt16BE(0), 1000);
    return;
  }
}

const UNTIL_THE_UPGRADE: Stage[] = [
  // "It sent nothing for `headTimeoutMs`: nothing, cut"
  { name: 'before the head', reach: async () => {}, upgraded: false, registered: false, silence: CUT },
  {
    name: 'in the head',
    reach: async (peer) => peer.socket.write(REQUEST.slice(0, 40)),
    upgraded: false,
    registered: false,
    // "Its head is not complete `headTimeoutMs` after the accept: 408, FIN"
    silence: [408, 'end'],
  },
];

export const AGENT_STAGES: Stage[] = [
  ...UNTIL_THE_UPGRADE,
  { name: 'before it registers', reach: openRegistry, upgraded: true, registered: false, silence: CUT },
  {
    name: 'in its first frame',
    async reach(peer, register) {
      await openRegistry(peer);
      peer.socket.write(register.subarray(0, 20));
    },
    upgraded: true,
    registered: false,
    silence: FRAME_TOOK_TOO_LONG,
  },
  { name: 'registered', reach: registerAgent, upgraded: true, registered: true, silence: CUT },
  {
    name: 'in a later frame',
    async reach(peer, register) {
      await registerAgent(peer, register);
      peer.socket.write(PING_REQUEST.subarray(0, 9));
    },
    upgraded: true,
    registered: true,
    silence: FRAME_TOOK_TOO_LONG,
  },
  {
    name: 'in the closing handshake',
    async reach(peer, register) {
      await registerAgent(peer, register);
      await close(peer);
    },
    upgraded: true,
    registered: true,
    silence: CUT,
  },
];

export const DASHBOARD_STAGES: Stage[] = [
  ...UNTIL_THE_UPGRADE,
  {
    name: 'before its roster',
    async reach(peer) {
      peer.socket.write(REQUEST);
      await peer.head();
    },
    upgraded: true,
    registered: false,
    silence: CUT,
  },
  { name: 'watching', reach: openRegistry, upgraded: true, registered: false, silence: CUT },
  {
    name: 'in a request',
    async reach(peer) {
      await openRegistry(peer);
      peer.socket.write(PING_REQUEST.subarray(0, 9));
    },
    upgraded: true,
    registered: false,
    silence: FRAME_TOOK_TOO_LONG,
  },
  {
    name: 'before its answer',
    async reach(peer) {
      await openRegistry(peer);
      peer.socket.write(PING_REQUEST);
    },
    upgraded: true,
    registered: false,
    silence: CUT,
  },
  {
    name: 'in the closing handshake',
    async reach(peer) {
      await openRegistry(peer);
      await close(peer);
    },
    upgraded: true,
    registered: false,
    silence: CUT,
  },
];

/** What a peer is told until its connection ends: statuses and close codes; messages and pings apart. */
export async function toldOf(peer: RawPeer, { upgraded }: Stage): Promise<Told> {
  const rest = await peer.rest();
  if (!upgraded) return rest.length === 0 ? ['end'] : [Number(rest.toString('latin1').slice(9, 12)), 'end'];
  const closes = readFrames(rest).filter(({ opcode }) => opcode === CLOSE);
  return [...closes.map(({ payload }) => payload.readUInt16BE(0)), 'end'];
}
