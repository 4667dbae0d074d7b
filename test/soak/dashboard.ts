/** A dashboard: keeps the roster as the daemon tells it, and finds fault with what does not fit. */
import { CloseCode } from '../../src/frame/vocabulary.ts';
import { type Node, NodeStatus, type Push, REGISTRY_PATH, type RosterEvent } from '../../src/protocol/registry.ts';
import type { Faults } from './faults.ts';
import { Peer } from './peer.ts';

export class Dashboard {
  readonly roster = new Map<string, Node>();
  /** Whole rosters it was sent: one is the greeting, more than that bring a laggard up to date. */
  inits = 0;
  onEvent: (event: RosterEvent) => void = () => {};
  /**
   * It was closed for not reading; null where that would be a fault. The daemon says so with 1013, but who does not read
   * in the five seconds that a closing handshake may take is not there to be told, and finds the connection gone.
   */
  onTurnedOut: (() => void) | null = null;
  readonly #faults: Faults;
  #peer: Peer | null = null;
  #left = false;
  #onGreeted: () => void = () => {};

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** Resolves once it has been greeted with the roster. */
  async open(port: number): Promise<Peer> {
    const greeted = new Promise<void>((resolve) => {
      this.#onGreeted = resolve;
    });
    this.#peer = await Peer.open(port, REGISTRY_PATH, (peer) => {
      peer.onText = (text) => this.#apply(JSON.parse(text));
      peer.onEnd = (closeCode) => this.#ended(closeCode);
    });
    await greeted;
    return this.#peer;
  }

  leave(politely: boolean): void {
    this.#left = true;
    if (politely) this.#peer?.close();
    else this.#peer?.leave();
  }

  #apply(push: Push): void {
    switch (push.event) {
      case 'init':
        this.inits++;
        this.roster.clear();
        for (const node of push.nodes) this.roster.set(node.id, node);
        this.#onGreeted();
        return;
      case 'node_joined':
        this.roster.set(push.node.id, push.node);
        break;
      case 'node_offline': {
        const node = this.roster.get(push.id);
        if (node === undefined) this.#faults.add(`offline, but never there: ${push.id}`);
        else this.roster.set(push.id, { ...node, status: NodeStatus.OFFLINE });
        break;
      }
      case 'node_removed':
        if (!this.roster.delete(push.id)) this.#faults.add(`removed, but never there: ${push.id}`);
        break;
    }
    this.onEvent(push);
  }

  #ended(closeCode: number): void {
    if (this.#left) return;
    const isTurnedOut = closeCode === CloseCode.TRY_AGAIN_LATER || closeCode === CloseCode.ABNORMAL;
    if (this.onTurnedOut !== null && isTurnedOut) this.onTurnedOut();
    else this.#faults.add(`a dashboard was closed with ${closeCode}`);
  }
}
