/**
 * A fault at every byte: of the handshakes and first frames of a relay, on either leg, in either direction. Whatever the
 * byte, the other side gets the whole messages that came before it, never a part of one, and then the end as it is due.
 *
 *   client   request ─▶          'ask' ─▶             close ─▶
 *   agent                 ◀─ 101           ◀─ 'answer'         ◀─ close, end
 *
 * Nobody speaks out of turn, so a byte's place tells what everyone has said.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { inLanes } from '../support/measure.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  PING,
  PONG,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';
import { type Leg, openProxies, type Told } from './conversation.ts';
import type { Fault, FaultyProxy, Speaker } from './faulty-proxy.ts';
import { describeEmbedded, type Subject } from './subject.ts';

/** For what only time tells. */
const SHORT_LIMITS = {
  headTimeoutMs: 700,
  dialTimeoutMs: 700,
  closingTimeoutMs: 300,
  pingIntervalMs: 250,
  lingerTimeoutMs: 300,
};

/** At the same time; those that stall mostly wait. */
const LANES: Partial<Record<Fault, number>> = { stall: 16 };

const ASK = clientFrame(TEXT, 'ask');
const ANSWER = serverFrame(TEXT, 'answer');
const CLIENT_CLOSE = clientFrame(CLOSE, closePayload(1000));
const AGENT_CLOSE = serverFrame(CLOSE, closePayload(1000));

const WHOLE: Record<Leg, Told> = { client: ['answer', 1000, 'end'], agent: ['ask', 1000, 'end'] };

const NEVER = new Promise<never>(() => {});
/** How long an agent is waited for that may, or may not, be dialled. */
const CHANCE_MS = 100;

/** What the client is told where no relay comes to be. */
const REFUSED: Told = ['error', 1000, 'end'];

/** Where on the way it happens. */
interface Place {
  leg: Leg;
  speaker: Speaker;
  afterBytes: number;
}

/** Of what a speaker says on a leg: a head, a message, a close. */
type Lengths = readonly [head: number, message: number, close: number];

/** How many of the three have begun, and how many are whole. */
function progress(lengths: Lengths, bytes: number): { begun: number; whole: number } {
  let end = 0;
  const ends = lengths.map((length) => {
    end += length;
    return end;
  });
  return {
    begun: ends.filter((_, i) => bytes > (ends[i - 1] ?? 0)).length,
    whole: ends.filter((each) => bytes >= each).length,
  };
}

/** What the other leg is told of a fault. */
function expected({ leg, speaker, afterBytes }: Place, lengths: Lengths): Told {
  const { begun, whole } = progress(lengths, afterBytes);
  const toldAgent = (messages: number): Told => [...WHOLE.agent.slice(0, messages), 'end'];
  const toldClient = (messages: number, end: Told): Told => [...WHOLE.client.slice(0, messages), ...end];
  if (leg === 'client') {
    if (speaker === 'peer') return whole === 0 ? [] : toldAgent(whole - 1);
    // It has answered what it has heard whole before: the fault comes before it has read the last byte.
    return toldAgent(begun - 1);
  }
  if (speaker === 'daemon') return begun < 2 ? REFUSED : toldClient(begun - 2, [1014, 'end']);
  if (whole === 0) return REFUSED;
  if (whole === 3) return WHOLE.client;
  // "1014, FIN; inside a frame FIN only"
  return toldClient(whole - 1, begun > whole ? ['end'] : [1014, 'end']);
}

/** A client and an agent, each behind a proxy, that speak with each other again and again. */
class Lane {
  readonly #id: string;
  readonly #proxies: Record<Leg, FaultyProxy>;
  #told: Record<Leg, Told> = { client: [], agent: [] };
  #onAgentEnd = () => {};
  /** Of the heads that the daemon writes, seen in passing. */
  readonly #headBytes: Record<Leg, number> = { client: 0, agent: 0 };

  private constructor(id: string, proxies: Record<Leg, FaultyProxy>) {
    this.#id = id;
    this.#proxies = proxies;
  }

  static async open(t: TestContext, { port }: Subject, id: string): Promise<Lane> {
    const take = { peer: async (_peer: RawPeer) => {} };
    const agents = await RawAgent.serve((peer) => take.peer(peer));
    t.after(() => agents.stop());
    const lane = new Lane(id, await openProxies(t, port, agents.port, id));
    take.peer = (peer) => lane.#speakAsAgent(peer);
    return lane;
  }

  /** @returns how much each says, from a dialogue in which nothing fails */
  async lengths(): Promise<Record<Leg, Record<Speaker, Lengths>>> {
    assert.deepEqual(await this.speak(null), WHOLE);
    const { client, agent } = this.#headBytes;
    const answerBytes = upgradeResponse('Sec-WebSocket-Key: x\r\n').length;
    return {
      client: {
        peer: [this.#request.length, ASK.length, CLIENT_CLOSE.length],
        daemon: [client, ANSWER.length, AGENT_CLOSE.length],
      },
      agent: {
        peer: [answerBytes, ANSWER.length, AGENT_CLOSE.length],
        daemon: [agent, ASK.length, CLIENT_CLOSE.length],
      },
    };
  }

  /**
   * @param dialled whether the agent hears of it; null where that is left to chance
   * @returns what both are told up to the end, or, after a fault, what the one on the other leg is
   */
  async speak(plan: (Place & { fault: Fault }) | null, dialled: boolean | null = true): Promise<Record<Leg, Told>> {
    const told: Record<Leg, Told> = { client: [], agent: [] };
    this.#told = told;
    for (const leg of ['client', 'agent'] as const) {
      this.#proxies[leg].drop();
      this.#proxies[leg].plan = plan?.leg === leg ? plan : null;
    }
    const agentEnded = new Promise<void>((resolve) => {
      this.#onAgentEnd = resolve;
    });
    const client = await RawPeer.connect(this.#proxies.client.port, { allowHalfOpen: true });
    const clientEnded = this.#speakAsClient(client);
    const own = plan === null || plan.fault === 'cut' ? null : plan.leg;
    if (own === 'client') clientEnded.catch(() => {});
    else await clientEnded;
    if (own !== 'agent' && dialled !== false) await Promise.race([agentEnded, dialled ? NEVER : delay(CHANCE_MS)]);
    return told;
  }

  get #request(): string {
    return upgradeRequest(`/ws/agent/${this.#id}`);
  }

  async #speakAsClient(peer: RawPeer): Promise<void> {
    peer.socket.write(this.#request);
    await hear(peer, this.#told.client, 'client', async () => {
      this.#headBytes.client = (await peer.head()).length;
      peer.socket.write(ASK);
    });
  }

  async #speakAsAgent(peer: RawPeer): Promise<void> {
    const onEnd = this.#onAgentEnd;
    await hear(peer, this.#told.agent, 'agent', async () => {
      const head = await peer.head();
      this.#headBytes.agent = head.length;
      peer.socket.write(upgradeResponse(head));
    });
    onEnd();
  }
}

const FRAMES = { client: clientFrame, agent: serverFrame };
const REPLIES: Record<string, Buffer> = { ask: ANSWER, answer: CLIENT_CLOSE };

/** Hears all until the end, and says what is its turn to say. */
async function hear(peer: RawPeer, told: Told, leg: Leg, shakeHands: () => Promise<void>): Promise<void> {
  let saidClose = false;
  try {
    await shakeHands();
    for (;;) {
      const { opcode, payload } = await peer.frame();
      if (opcode === PING) {
        peer.socket.write(FRAMES[leg](PONG, payload));
      } else if (opcode === CLOSE) {
        told.push(payload.readUInt16BE(0));
        if (!saidClose) peer.socket.write(FRAMES[leg](CLOSE, payload));
        // "The server MUST close the underlying TCP connection immediately" (RFC 6455, section 5.5.1).
        if (leg === 'agent') peer.socket.end();
      } else if (opcode === TEXT) {
        const text = payload.toString();
        told.push(text.startsWith('{"error"') ? 'error' : text);
        const reply = REPLIES[text];
        if (reply !== undefined) peer.socket.write(reply);
        saidClose = reply === CLIENT_CLOSE;
      }
    }
  } catch (error) {
    if (!peer.ended) throw error;
  }
  peer.socket.end();
  told.push('end');
}

function otherThan(leg: Leg): Leg {
  return leg === 'client' ? 'agent' : 'client';
}

/** A whole request, and the client is gone: the agent may have been dialled already, or not. */
function isByChance({ leg, speaker, afterBytes }: Place, lengths: Lengths): boolean {
  return leg === 'client' && speaker === 'peer' && afterBytes === lengths[0];
}

async function assertFault(lane: Lane, fault: Fault, place: Place, lengths: Lengths): Promise<void> {
  const other = otherThan(place.leg);
  const allowed = [expected(place, lengths)];
  const byChance = isByChance(place, lengths);
  if (byChance) allowed.push([]);
  // Pings count too, where the machine is so busy that they come between.
  if (fault === 'stall') {
    for (let bytes = 0; bytes < place.afterBytes; bytes++)
      allowed.push(expected({ ...place, afterBytes: bytes }, lengths));
  }
  const dialled = fault === 'cut' || (byChance ? null : allowed[0]?.length !== 0);
  const told = await lane.speak({ ...place, fault }, dialled);
  const what = `${fault} after byte ${place.afterBytes}: told to the ${other}`;
  if (fault === 'cut') assert.deepEqual(told, WHOLE, what);
  else if (!allowed.some((each) => isDeepStrictEqual(each, told[other])))
    assert.deepEqual(told[other], allowed[0], what);
}

async function sweep(t: TestContext, subject: Subject, fault: Fault, leg: Leg, speaker: Speaker): Promise<void> {
  const lanes = await Promise.all(
    Array.from({ length: LANES[fault] ?? 8 }, (_, i) => Lane.open(t, subject, `sweep-${leg}-${speaker}-${10 + i}`)),
  );
  const lengths = (await (lanes[0] as Lane).lengths())[leg][speaker];
  const bytes = lengths.reduce((sum, length) => sum + length);
  const places = Array.from({ length: bytes }, (_, i): Place => ({ leg, speaker, afterBytes: i + 1 }));
  // Those by chance at the end, for an agent that is dialled late must not be taken for that of another round.
  const sorted = [
    ...places.filter((place) => !isByChance(place, lengths)),
    ...places.filter((place) => isByChance(place, lengths)),
  ];
  const free = [...lanes];
  await inLanes(bytes, lanes.length, async (round) => {
    const lane = free.pop() as Lane;
    await assertFault(lane, fault, sorted[round] as Place, lengths);
    free.push(lane);
  });
  t.diagnostic(`${bytes} places`);
}

for (const fault of ['reset', 'end', 'stall', 'cut'] as const) {
  describeEmbedded(`${fault} at every byte`, fault === 'stall' ? SHORT_LIMITS : {}, (subject) => {
    for (const leg of ['client', 'agent'] as const) {
      for (const speaker of ['peer', 'daemon'] as const) {
        const who = speaker === 'peer' ? `what the ${leg} says` : `what the ${leg} is told`;
        test(`${who}: the other is told what was whole, and the end`, (t) => sweep(t, subject, fault, leg, speaker));
      }
    }
  });
}
