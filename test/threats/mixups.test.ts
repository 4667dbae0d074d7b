/**
 * Threats: what one connection says turns up on another, or is written over before it is out. Connections share the
 * buffers they are read into and written from, so every kind of them is busy at once here: relays and callers of the
 * registry, each byte marked as theirs, in pieces of any size, with readers that are slow, stall or reset; dashboards that
 * stall and come back.
 *
 * MIXUPS_SECONDS makes it longer, MIXUPS_SEED another.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { Random } from '../fuzz/random.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { Expected, Marker } from '../support/marked.ts';
import { eventually } from '../support/measure.ts';
import { rawFrame } from '../support/raw-frame.ts';
import {
  BINARY,
  CLOSE,
  closePayload,
  fieldOf,
  PING,
  PONG,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';

const FIN = 0x80;

const SECONDS = Number(process.env.MIXUPS_SECONDS ?? 5);
const SEED = Number(process.env.MIXUPS_SEED ?? 1);
const RELAYS = 20;
const CALLERS = 10;
const DASHBOARDS = 4;

/** What one stream says at the least: more than the kernel holds for who does not read. */
const STREAM_BYTES = 6 * 1024 * 1024;
const MAX_BURST_BYTES = 192 * 1024;
/** Of small frames fewer bytes are enough. */
const MAX_FRAMES = 1000;
/** With a node beside it, no message of a caller is larger than the daemon takes. */
const MAX_ID_BYTES = 1024 * 1024 - 5000;

/** What a client may be told at last. */
const LAST_WORDS = { [FIN | CLOSE]: [serverFrame(CLOSE, closePayload(1014, 'agent connection lost'))] };

function randomOf(index: number): Random {
  const random = new Random();
  random.reset(SEED, index);
  return random;
}

/** From 1 to `2 ** maxBits`, each order of magnitude as likely as the next. */
function anySize(random: Random, maxBits: number): number {
  return Math.max(1, Math.floor(2 ** (random.between(0, maxBits * 1000) / 1000)));
}

// What is said

/** What one end of a relay says: the same for who says it and for who is to hear it. */
function* relayed(index: number, name: string, masked: boolean): Generator<Buffer> {
  const random = randomOf(index);
  const marker = new Marker(name);
  const maxBits = random.pick([12, 16, 20]);
  const longest = random.pick([STREAM_BYTES / 6, STREAM_BYTES]);
  for (let said = 0, frames = 0; said < longest && frames < MAX_FRAMES; frames++) {
    const payload = marker.take(anySize(random, maxBits));
    const header = rawFrame({
      opcode: BINARY,
      announcedLength: BigInt(payload.length),
      maskingKey: masked ? marker.take(4) : undefined,
    });
    said += payload.length;
    yield Buffer.concat([header, payload]);
  }
}

interface Call {
  request: () => Buffer;
  answer: Buffer;
}

/** What a caller asks, and what it must be answered: its own marker. */
function* calls(index: number, name: string): Generator<Call> {
  const random = randomOf(index);
  const marker = new Marker(name, true);
  let pings = 100;
  for (let said = 0, round = 0; said < STREAM_BYTES; round++) {
    const maskingKey = Buffer.alloc(4);
    maskingKey.writeUInt32LE(random.next());
    if (pings > 0 && random.oneIn(8)) {
      pings--;
      const payload = marker.take(random.between(1, 125));
      yield { request: () => rawFrame({ opcode: PING, payload, maskingKey }), answer: serverFrame(PONG, payload) };
      continue;
    }
    const id = String(marker.take(Math.min(MAX_ID_BYTES, anySize(random, random.oneIn(8) ? 20 : 16))));
    const registers = random.oneIn(3);
    const params = registers ? nodeOf(`${name}.${round}`, index) : undefined;
    const outcome = registers ? '"result":{"status":"registered"}' : '"error":"Method not found: echo"';
    const fragments = random.pick([1, 1, 2, 5]);
    said += id.length;
    yield {
      request: () => {
        const text = JSON.stringify({ id, method: registers ? 'register' : 'echo', params });
        return fragmented(Buffer.from(text), fragments, maskingKey);
      },
      answer: serverFrame(TEXT, `{"id":"${id}",${outcome}}`),
    };
  }
}

function fragmented(payload: Buffer, count: number, maskingKey: Buffer): Buffer {
  const length = Math.ceil(payload.length / count);
  const frames = Array.from({ length: count }, (_, i) => {
    const piece = payload.subarray(i * length, (i + 1) * length);
    return rawFrame({ opcode: i === 0 ? TEXT : 0, fin: i === count - 1, payload: piece, maskingKey });
  });
  return Buffer.concat(frames);
}

/** A node that tells in every byte of its folder which it is. */
function nodeOf(id: string, port: number): Json {
  return { id, machine: 'marked', cwd: cwdOf(id), port: 1 + (port % 60_000), status: 'active' };
}

function cwdOf(id: string): string {
  return `/${id}`.repeat(Math.floor(4096 / (id.length + 1)));
}

// How it is said and heard

/** In pieces of any size, no faster than it is taken. */
async function say(socket: net.Socket, frames: Iterable<Buffer>, random: Random): Promise<void> {
  // Bursts are read as some whole buffers and a part of one.
  const inBursts = random.oneIn(2);
  const maxBits = random.pick([13, 17, 20]);
  for (const frame of frames) {
    for (let at = 0; at < frame.length && !socket.destroyed; ) {
      const end = Math.min(
        frame.length,
        at + (inBursts ? random.between(1, MAX_BURST_BYTES) : anySize(random, maxBits)),
      );
      if (!socket.write(frame.subarray(at, end))) await drainedOrGone(socket);
      else if (random.oneIn(4)) await turn();
      at = end;
    }
  }
}

async function drainedOrGone(socket: net.Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

interface Hearing {
  expected: Expected;
  random: Random;
  /** After so many bytes it resets the connection; Infinity for never. */
  resetsAfter: number;
  /** The other end may reset it. */
  mayEnd: boolean;
}

/** Resolves once all has come, or the connection is reset as it may be. Rejects at the first byte that is not its own. */
async function hear(socket: net.Socket, rest: Buffer, hearing: Hearing): Promise<void> {
  const { expected, random, resetsAfter, mayEnd } = hearing;
  const [stallsOneIn, stallMs] = random.pick([
    [0, 0],
    [1, 2],
    [100, 600],
    [1000, 1500],
  ] as const);
  await new Promise<void>((resolve, reject) => {
    const pause = (forMs: number) => {
      socket.pause();
      setTimeout(() => socket.resume(), forMs);
    };
    const take = (chunk: Buffer) => {
      try {
        expected.take(chunk);
      } catch (error) {
        reject(error);
        return;
      }
      if (expected.receivedBytes >= resetsAfter) socket.resetAndDestroy();
      if (expected.complete || expected.receivedBytes >= resetsAfter) resolve();
      else if (stallsOneIn > 0 && random.oneIn(stallsOneIn)) pause(stallMs);
    };
    socket.on('data', take);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      if (mayEnd) resolve();
      else reject(new Error(`${expected.name}: ended after ${expected.receivedBytes} bytes`));
    });
    if (rest.length > 0) take(rest);
    // Some read nothing at all at first, so that all that can wait for them does.
    if (stallMs > 2) pause(stallMs);
  });
}

/** Takes the socket from a raw peer, with what it has read and nobody taken. */
function release(peer: RawPeer): [net.Socket, Buffer] {
  peer.socket.removeAllListeners('data');
  return [peer.socket, peer.takeAll()];
}

// Who says it

/** One daemon, one agent that all relays go to, and everybody's sockets. */
class Scene {
  readonly daemon: Daemon;
  readonly #agent: RawAgent;
  readonly #waiting = new Map<string, (agent: [RawPeer, requestHead: string]) => void>();
  readonly #endsAt = performance.now() + SECONDS * 1000;
  #count = 0;

  private constructor(daemon: Daemon, agent: RawAgent) {
    this.daemon = daemon;
    this.#agent = agent;
  }

  static async open(t: TestContext): Promise<Scene> {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop());
    const agent = await RawAgent.serve(async (peer) => {
      const head = await peer.head();
      scene.#waiting.get(fieldOf(head, 'Sec-WebSocket-Protocol') ?? '')?.([peer, head]);
    });
    t.after(() => agent.stop());
    const scene = new Scene(daemon, agent);
    const uplink = await Client.open(daemon.registryUrl);
    await uplink.call('register', { ...nodeOf('agent', 0), machine: '127.0.0.1', port: agent.port });
    t.after(() => uplink.terminate());
    return scene;
  }

  get over(): boolean {
    return performance.now() > this.#endsAt;
  }

  /** One after the other, until time is up. */
  async lane(act: (index: number) => Promise<void>): Promise<void> {
    do await act(this.#count++);
    while (!this.over);
  }

  async relay(index: number): Promise<void> {
    const random = randomOf(4 * index);
    const name = `relay-${index}`;
    const resets = random.pick(['client', 'agent', null, null, null]);
    const streamOf = (end: 'client' | 'agent') =>
      relayed(4 * index + (end === 'client' ? 1 : 2), `${name}.${end}`, end === 'client');
    const hearingOf = (end: 'client' | 'agent', other: 'client' | 'agent'): Hearing => ({
      expected: new Expected(`${name}, to the ${end}`, streamOf(other), resets === 'agent' ? LAST_WORDS : {}),
      random: randomOf(4 * index + (end === 'client' ? 1 : 2)),
      resetsAfter: resets === end ? anySize(random, 20) : Number.POSITIVE_INFINITY,
      mayEnd: resets === other,
    });
    const accepted = new Promise<[RawPeer, string]>((resolve) => this.#waiting.set(name, resolve));
    const client = await RawPeer.connect(this.daemon.port);
    const fromClient = streamOf('client');
    const fromAgent = streamOf('agent');
    // The first of what each says comes in the same segment as its head.
    const request = upgradeRequest('/ws/agent/agent', [`Sec-WebSocket-Protocol: ${name}`]);
    client.socket.write(Buffer.concat([Buffer.from(request), fromClient.next().value]));
    const [agent, head] = await accepted;
    this.#waiting.delete(name);
    const response = upgradeResponse(head, [`Sec-WebSocket-Protocol: ${name}`]);
    agent.socket.write(Buffer.concat([Buffer.from(response), fromAgent.next().value]));
    await client.head();
    const heard = Promise.all([
      hear(...release(client), hearingOf('client', 'agent')),
      hear(...release(agent), hearingOf('agent', 'client')),
    ]);
    const said = Promise.all([say(client.socket, fromClient, random), say(agent.socket, fromAgent, random)]);
    await heard;
    client.socket.destroy();
    agent.socket.destroy();
    await said;
  }

  async call(index: number): Promise<void> {
    const random = randomOf(4 * index);
    const name = `caller-${index}`;
    const caller = await RawPeer.upgrade(this.daemon.port, '/ws');
    // Who has registered is told of no other.
    caller.socket.write(
      fragmented(Buffer.from(JSON.stringify({ method: 'register', params: nodeOf(name, index) })), 1, Buffer.alloc(4)),
    );
    while ((await caller.json()).event !== undefined);
    function* answersOf(opcode: number): Generator<Buffer> {
      for (const { answer } of calls(4 * index + 1, name)) if (answer[0] === (FIN | opcode)) yield answer;
    }
    function* requests(): Generator<Buffer> {
      for (const { request } of calls(4 * index + 1, name)) yield request();
    }
    const hearing = {
      // A pong need not wait for the answers before it.
      expected: new Expected(name, answersOf(TEXT), { [FIN | PONG]: answersOf(PONG) }),
      random,
      resetsAfter: random.oneIn(4) ? anySize(random, 20) : Number.POSITIVE_INFINITY,
      mayEnd: false,
    };
    const heard = hear(...release(caller), hearing);
    const said = say(caller.socket, requests(), randomOf(4 * index + 2));
    await heard;
    caller.socket.destroy();
    await said;
  }

  /** Follows the roster while it stalls again and again, asks for all of it meanwhile, and is right in the end. */
  async watch(index: number, allOver: Promise<unknown>): Promise<void> {
    const random = randomOf(4 * index);
    const socket = new Client(this.daemon.registryUrl);
    const roster = new Map<string, Json>();
    let failure: unknown = null;
    let answers = 0;
    socket.socket.on('message', (payload) => {
      try {
        const message = JSON.parse(String(payload));
        if (message.id?.startsWith?.('all-')) answers++;
        follow(roster, message);
      } catch (error) {
        failure ??= error;
      }
    });
    await once(socket.socket, 'open');
    let isOver = false;
    void allOver.then(() => {
      isOver = true;
    });
    let asked = 0;
    while (!isOver && failure === null) {
      socket.socket.pause();
      for (let i = 0; i < 60; i++) socket.send({ id: `all-${asked++}`, method: 'list_nodes' });
      await delay(random.between(100, 1500));
      socket.socket.resume();
      await eventually(() => assert.ok(answers === asked || failure !== null, `${answers} of ${asked} answers`));
    }
    if (failure !== null) throw failure;
    const other = await Client.open(this.daemon.registryUrl);
    await eventually(async () => {
      const { result } = await other.call('list_nodes');
      assert.deepEqual(stateOf(roster.values()), stateOf(result));
    });
    other.terminate();
    socket.terminate();
  }

  get dialled(): number {
    return this.#agent.peers.length;
  }
}

/** Every message is whole and in its place: nodes are what they said they are, and nothing goes that did not come. */
function follow(roster: Map<string, Json>, message: Json): void {
  const check = (node: Json) => {
    assert.equal(node.cwd, cwdOf(node.id));
    return node;
  };
  switch (message.event) {
    case 'init':
      roster.clear();
      for (const node of message.nodes) roster.set(node.id, check(node));
      break;
    case 'node_joined':
      roster.set(message.node.id, check(message.node));
      break;
    case 'node_offline':
      assert.ok(roster.has(message.id), `${message.id} goes offline and was not there`);
      roster.get(message.id).status = 'offline';
      break;
    case 'node_removed':
      assert.ok(roster.delete(message.id), `${message.id} is removed and was not there`);
      break;
    default:
      for (const node of message.result) check(node);
  }
}

function stateOf(nodes: Iterable<Json>): string[] {
  return Array.from(nodes, ({ id, status }) => `${id} ${status}`).sort();
}

test('with any others served at the same time, each gets its own bytes, all of them, in order', {
  timeout: (SECONDS + 60) * 1000,
}, async (t) => {
  const scene = await Scene.open(t);
  const lanes = [
    ...Array.from({ length: RELAYS }, () => scene.lane((index) => scene.relay(index))),
    ...Array.from({ length: CALLERS }, () => scene.lane((index) => scene.call(index))),
  ];
  const allOver = Promise.allSettled(lanes);
  const watches = Array.from({ length: DASHBOARDS }, (_, i) => scene.watch(1_000_000 + i, allOver));
  try {
    await Promise.all([...lanes, ...watches]);
  } catch (error) {
    throw new Error(`MIXUPS_SEED=${SEED}: ${(error as Error).message}`, { cause: error });
  }
  assert.ok(scene.dialled >= RELAYS);
  assert.doesNotMatch(scene.daemon.stderr, /fault/i);
});
