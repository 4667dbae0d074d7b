/** How long who keeps us waiting is suffered. All at once, since each of them only waits. */
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { rawFrame } from '../support/raw-frame.ts';
import { BINARY, CLOSE, clientFrame, closePayload, RawAgent, RawPeer, upgradeRequest } from '../support/raw-peer.ts';
import { type Figure, inSeconds, type Part, type Say } from './figure.ts';
import { serveAgents, suffered, sufferedDeadClient, sufferedFrame, sufferedHead, sufferedSilence } from './waiting.ts';

const PATIENCE_MS = 90_000;
/** What a busy machine may add. */
const SLACK_MS = 1000;
const SAY_EVERY_MS = 1000;

const DEFAULT_MS = { head: 10_000, frame: 30_000, dead: 75_000, closing: 5000, dial: 5000 };

export const timeouts: Part = {
  title: 'How long it waits',
  async run(say) {
    const daemon = await Daemon.start();
    const stage = new Stage(daemon);
    try {
      const { port } = daemon;
      const registry = { port, path: '/ws' };
      const relay = { port, path: `/ws/agent/${await stage.liveAgent()}` };
      return await countingSeconds(say, [
        within('a head that stops half-way', DEFAULT_MS.head, sufferedHead(port, PATIENCE_MS, false)),
        within('a head that drips, a byte a second', DEFAULT_MS.head, sufferedHead(port, PATIENCE_MS, true)),
        within('a connection that says nothing', DEFAULT_MS.head, sufferedSilence(port, PATIENCE_MS)),
        within('half a frame', DEFAULT_MS.frame, sufferedFrame(registry, PATIENCE_MS, false)),
        within('a frame that drips, a byte a second', DEFAULT_MS.frame, sufferedFrame(registry, PATIENCE_MS, true)),
        within('a registry connection that is dead', DEFAULT_MS.dead, sufferedDeadClient(registry, PATIENCE_MS)),
        within('a relay whose client is dead', DEFAULT_MS.dead, sufferedDeadClient(relay, PATIENCE_MS)),
        within('a relay whose agent is dead', DEFAULT_MS.dead, stage.sufferedDeadAgent()),
        within('a relay whose client reads nothing', DEFAULT_MS.dead, stage.sufferedSleepingClient()),
        within('a registry client that does not end its side', DEFAULT_MS.closing, stage.sufferedOpenEnd()),
        within('an agent that does not answer the close', DEFAULT_MS.closing, stage.sufferedUnansweredClose()),
        within('an agent that accepts and says nothing', DEFAULT_MS.dial, stage.sufferedSilentAgent()),
      ]);
    } finally {
      await stage.clear();
      await daemon.stop();
    }
  },
};

async function within(what: string, boundMs: number, waiting: Promise<number | null>): Promise<Figure> {
  const tookMs = await waiting;
  return {
    what,
    bound: inSeconds(boundMs),
    measured: tookMs === null ? `not in ${inSeconds(PATIENCE_MS)}` : inSeconds(tookMs),
    met: tookMs !== null && Math.abs(tookMs - boundMs) <= SLACK_MS,
  };
}

export async function countingSeconds<T>(say: Say, waiting: Promise<T>[]): Promise<T[]> {
  const began = performance.now();
  let left = waiting.length;
  for (const one of waiting) {
    const settle = () => {
      left--;
    };
    one.then(settle, settle);
  }
  const clock = setInterval(() => {
    say(`${Math.round((performance.now() - began) / 1000)} s, ${left} of ${waiting.length} still wait`);
  }, SAY_EVERY_MS);
  try {
    return await Promise.all(waiting);
  } finally {
    clearInterval(clock);
  }
}

/** The agents and clients of this part. */
class Stage {
  readonly #daemon: Daemon;
  readonly #ending: (() => unknown)[] = [];
  #agents = 0;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  async clear(): Promise<void> {
    for (const end of this.#ending) await end();
  }

  /** @returns the id of an agent that answers pings */
  async liveAgent(): Promise<string> {
    const agent = await Agent.serve();
    this.#ending.push(() => agent.stop());
    return this.#register(agent.port);
  }

  async sufferedDeadAgent(): Promise<number | null> {
    const client = await this.#open(await this.#rawAgent(await serveAgents()));
    return since(performance.now(), client.closed);
  }

  /** The agent pours until the relay takes no more. What the relay's end looks like is seen from the agent. */
  async sufferedSleepingClient(): Promise<number | null> {
    let ended: Promise<number | null> = Promise.resolve(null);
    const agent = await serveAgents((peer) => {
      ended = suffered(peer, PATIENCE_MS);
      const frame = rawFrame({ opcode: BINARY, payload: Buffer.alloc(16 * 1024 * 1024) });
      peer.socket.write(frame);
    });
    const client = await this.#open(await this.#rawAgent(agent));
    client.socket.pause();
    await client.next().catch(() => {});
    return ended;
  }

  /** Its bytes are refused only once the connection is gone. */
  async sufferedOpenEnd(): Promise<number | null> {
    const peer = await RawPeer.connect(this.#daemon.port, { allowHalfOpen: true });
    peer.socket.write(upgradeRequest('/ws'));
    await peer.head();
    peer.socket.write(clientFrame(CLOSE, closePayload(1000)));
    const began = performance.now();
    const probe = setInterval(() => peer.socket.write('x'), 100);
    try {
      return await since(began, peer.closed);
    } finally {
      clearInterval(probe);
    }
  }

  async sufferedUnansweredClose(): Promise<number | null> {
    const client = await RawPeer.upgrade(this.#daemon.port, `/ws/agent/${await this.#rawAgent(await serveAgents())}`);
    client.socket.write(clientFrame(CLOSE, closePayload(1000)));
    return suffered(client, PATIENCE_MS);
  }

  async sufferedSilentAgent(): Promise<number | null> {
    const id = await this.#rawAgent(await RawAgent.serve(() => {}));
    const began = performance.now();
    const client = await this.#open(id);
    return since(began, client.next(PATIENCE_MS));
  }

  async #open(id: string): Promise<Client> {
    const client = await Client.open(this.#daemon.relayUrl(id));
    this.#ending.push(() => client.terminate());
    return client;
  }

  async #rawAgent(agent: RawAgent): Promise<string> {
    this.#ending.push(() => agent.stop());
    return this.#register(agent.port);
  }

  async #register(port: number): Promise<string> {
    const id = `agent-${this.#agents++}`;
    const uplink = await Client.open(this.#daemon.registryUrl);
    this.#ending.push(() => uplink.terminate());
    await uplink.call('register', { id, machine: '127.0.0.1', cwd: '/', port, status: 'active' });
    return id;
  }
}

async function since(began: number, happens: Promise<unknown>): Promise<number> {
  await happens;
  return performance.now() - began;
}
