/** Relays that open, carry messages both ways, each of them checked to the last byte, and close in every way there is. */
import { setTimeout as delay } from 'node:timers/promises';
import { CloseCode } from '../../src/frame/vocabulary.ts';
import { RELAY_PATH_PREFIX } from '../../src/protocol/registry.ts';
import type { Faults } from './faults.ts';
import { Peer } from './peer.ts';

const ROUNDS = 20;
const PAUSE_MS = 50;
const PATIENCE_MS = 15_000;
const CLIENT_DONE = 4000;
const AGENT_DONE = 4001;

/** Message sizes in characters, in turn: prompts and answers, with an attachment among them. */
const SIZES = [16, 800, 125, 126, 4096, 300, 65_535, 1, 65_536, 2000, 200_000];
const POOL = Array.from({ length: 40_000 }, (_, i) => `${(i * 2_654_435_761) % 4_294_967_296} `).join('');
const GREETING = `{"type":"init_state","messages":["${POOL.slice(0, 5000)}"],"tools":[]}`;

const Side = { CLIENT: 'client', AGENT: 'agent' } as const;
type Side = (typeof Side)[keyof typeof Side];

/** What a side says in a round of a relay: both ends can tell. */
function messageOf(relay: number, round: number, side: Side): string {
  const size = SIZES[(relay + round) % SIZES.length] as number;
  const start = (relay * 7919 + round * 104_729 + (side === Side.AGENT ? 31 : 0)) % (POOL.length - size);
  return `${relay} ${round} ${side} ${POOL.slice(start, start + size)}`;
}

/** Agents that serve. Each listens on a port of its own, and answers what it expects. */
export class RelayAgents {
  readonly #faults: Faults;
  /** The agents' ends, by relay, from the first message to the end. */
  readonly ends = new Map<number, Peer>();
  /** What each end was closed with. */
  onEnd: (relay: number, closeCode: number) => void = () => {};

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** @returns its port */
  serve(): Promise<number> {
    return Peer.serve((peer) => this.#talk(peer), this.#faults.catch);
  }

  #talk(peer: Peer): void {
    let relay: number | null = null;
    let round = 0;
    const answer = (text: string): string => {
      if (relay === null) {
        relay = Number.parseInt(text, 10);
        this.ends.set(relay, peer);
      }
      if (text !== messageOf(relay, round, Side.CLIENT)) this.#faults.add(`relay ${relay}: wrong at the agent`);
      return messageOf(relay, round++, Side.AGENT);
    };
    peer.onText = (text) => peer.sendText(answer(text));
    peer.onBinary = (payload) => peer.sendBinary(Buffer.from(answer(payload.toString())));
    peer.onEnd = (closeCode) => {
      if (relay === null) return;
      this.ends.delete(relay);
      this.onEnd(relay, closeCode);
    };
    peer.sendText(GREETING);
  }
}

export class Relays {
  opened = 0;
  messages = 0;
  open = 0;
  readonly #port: number;
  readonly #agents: RelayAgents;
  readonly #ids: readonly string[];
  readonly #faults: Faults;
  /** From a message sent to its answer, in microseconds. */
  readonly #onRoundTrip: (microseconds: number) => void;
  readonly #agentEnds = new Map<number, (closeCode: number) => void>();

  constructor(
    port: number,
    agents: RelayAgents,
    ids: readonly string[],
    faults: Faults,
    onRoundTrip: (microseconds: number) => void,
  ) {
    this.#port = port;
    this.#agents = agents;
    this.#ids = ids;
    this.#faults = faults;
    this.#onRoundTrip = onRoundTrip;
    agents.onEnd = (relay, closeCode) => this.#agentEnds.get(relay)?.(closeCode);
  }

  /** Opens a relay, and sees it through to its end. */
  async run(): Promise<void> {
    const relay = this.opened++;
    this.open++;
    const patience = new AbortController();
    try {
      const hung = delay(PATIENCE_MS, 'hung', { signal: patience.signal });
      hung.catch(() => {});
      if ((await Promise.race([this.#converse(relay), hung])) === 'hung') this.#faults.add(`relay ${relay} hangs`);
    } catch (error) {
      this.#faults.add(`relay ${relay}: ${(error as Error).message}`);
    } finally {
      patience.abort();
      this.#agentEnds.delete(relay);
      this.open--;
    }
  }

  async #converse(relay: number): Promise<void> {
    let hear: (text: string) => void = () => {};
    const next = () =>
      new Promise<string>((resolve) => {
        hear = resolve;
      });
    const greeting = next();
    let end: (closeCode: number) => void = () => {};
    const clientEnd = new Promise<number>((resolve) => {
      end = resolve;
    });
    const agentEnd = new Promise<number>((resolve) => this.#agentEnds.set(relay, resolve));

    const id = this.#ids[relay % this.#ids.length] as string;
    const client = await Peer.open(this.#port, `${RELAY_PATH_PREFIX}${id}`, (peer) => {
      peer.onText = (text) => hear(text);
      peer.onBinary = (payload) => hear(payload.toString());
      peer.onEnd = end;
    });
    if ((await greeting) !== GREETING) throw new Error('wrong greeting');
    for (let round = 0; round < ROUNDS; round++) {
      await this.#round(relay, round, client, next());
      await delay(PAUSE_MS);
    }
    await this.#part(relay, client, clientEnd, agentEnd);
  }

  async #round(relay: number, round: number, client: Peer, answer: Promise<string>): Promise<void> {
    const message = messageOf(relay, round, Side.CLIENT);
    const sentAt = performance.now();
    if (round % 3 === 0) client.sendText(message);
    else if (round % 3 === 1) client.sendBinary(Buffer.from(message));
    else client.sendFragments([message.slice(0, 5), '', message.slice(5)]);
    const text = await answer;
    this.#onRoundTrip(Math.round((performance.now() - sentAt) * 1000));
    if (text !== messageOf(relay, round, Side.AGENT)) throw new Error('wrong at the client');
    this.messages += 2;
  }

  async #part(relay: number, client: Peer, clientEnd: Promise<number>, agentEnd: Promise<number>): Promise<void> {
    const agent = this.#agents.ends.get(relay);
    let told: Promise<number> = agentEnd;
    let expected: number | null = null;
    switch (relay % 4) {
      case 0:
        client.close(CLIENT_DONE);
        expected = CLIENT_DONE;
        break;
      case 1:
        agent?.close(AGENT_DONE);
        told = clientEnd;
        expected = AGENT_DONE;
        break;
      case 2:
        client.leave();
        break;
      default:
        agent?.leave();
        told = clientEnd;
        expected = CloseCode.BAD_GATEWAY;
    }
    const closeCode = await told;
    if (expected !== null && closeCode !== expected) throw new Error(`closed with ${closeCode}, not ${expected}`);
    await Promise.all([clientEnd, agentEnd]);
  }
}
