/**
 * Hubs that join hubs, with their real rosters and what they really say to each other, and links that are cut at any
 * moment: at the end every hub shows the nodes of all that are below it, and nothing else.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Hubs } from '../../src/join/hubs.ts';
import { Share } from '../../src/join/share.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { WaysBack } from '../../src/proxy/ways-back.ts';
import { hubIdOf } from '../../src/registry/hub-params.ts';
import type { Caller } from '../../src/registry/methods.ts';
import { readDetails } from '../../src/registry/node-details.ts';
import { Roster } from '../../src/registry/roster.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';

const LIMITS = { maxNodes: 1000, maxRosterBytes: 1e6, maxHubs: 10, hubTtlMs: 3_600_000, hubRequestTimeoutMs: 1000 };
const CONNECT = { maxHeadBytes: 16_384, maxHeadFields: 100, pingIntervalMs: 60_000 } as never;

let steadyMs = 0;
function moment() {
  steadyMs += 20_000;
  return { unixSeconds: Math.floor(Date.now() / 1000), steadyMs };
}

/** A hub of the tree, which may join one other. */
class TestHub {
  readonly name: string;
  readonly id: string;
  readonly roster: Roster;
  readonly hubs: Hubs;
  readonly #upper: TestHub | null;
  readonly #agents = new Map<string, object>();
  /** What its own agents are, by their id. */
  readonly own = new Map<string, string>();
  #share: Share;
  #caller: Caller | null = null;
  #versions = 0;
  #epochs = 0;

  constructor(name: string, upper: TestHub | null, deadlines: Deadlines) {
    this.name = name;
    this.id = hubIdOf(name);
    this.#upper = upper;
    this.roster = new Roster({
      nodeTtlMs: 60_000,
      maxNodes: LIMITS.maxNodes,
      maxRosterBytes: LIMITS.maxRosterBytes,
      backlogBudgetBytes: 1e6,
      deadlines,
      judge: (_machine, address) => ({ address, isHere: false, namesHere: false }),
      onEvent: (change) => this.#share.note(change.event === 'node_joined' ? change.node.id : change.id),
    });
    const vitals = () => ({ load: 0, cpus: 1, memory_free: null, memory: 1 });
    const nothing = () => {};
    this.hubs = new Hubs({
      own: { id: this.id, name, host: name, version: '1', since: 1, vitals, up: () => [] },
      roster: this.roster,
      waysBack: new WaysBack({ deadlines, limits: CONNECT }),
      deadlines,
      limits: LIMITS,
      events: { onJoined: nothing, onLost: nothing, onLeft: nothing, onLeftOut: nothing, onMachinesChanged: nothing },
    });
    this.#share = this.#newShare();
  }

  #newShare(): Share {
    const { id, name, roster } = this;
    const own = () => ({ id, name, version: '1', since: 1, nodes: roster.localSize, features: [], path: [id] });
    const machines = () => [
      own(),
      ...this.hubs.sharedMachines().map((machine) => ({ ...machine, path: [...machine.path, id] })),
    ];
    // Small messages, so that there are many of them.
    return new Share({ epoch: `${name}-${++this.#epochs}`, ownId: id, roster, machines, maxBytes: 1200 });
  }

  /** An agent registers, or says something else of itself. */
  change(agentId: string): void {
    const name = `${this.name} ${agentId} ${++this.#versions}`;
    const agent = this.#agents.get(agentId);
    if (agent === undefined) {
      const owner = {};
      const port = 1 + this.#versions;
      this.roster.register(owner, { id: agentId, machine: this.name, cwd: '/', port }, '10.0.0.1');
      this.#agents.set(agentId, owner);
    }
    this.roster.update(this.#agents.get(agentId) as object, readDetails({ name }));
    this.own.set(agentId, name);
  }

  remove(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (agent === undefined) return;
    this.roster.deregister(agent, agentId);
    this.#agents.delete(agentId);
    this.own.delete(agentId);
  }

  /** The link is cut: what is under way is lost. */
  cut(): void {
    if (this.#caller === null) return;
    this.#upper?.hubs.leave(this.#caller);
    this.#caller = null;
  }

  /** It forgets what it has shared; its agents are still there. */
  restart(): void {
    this.cut();
    this.#share = this.#newShare();
  }

  join(): void {
    const upper = this.#upper;
    if (upper === null || this.#caller !== null) return;
    const caller = {
      remoteAddress: '10.0.0.2',
      onJoined() {},
      askBack() {},
      dismiss() {},
      isCongested: false,
      push() {},
    };
    this.#caller = caller as unknown as Caller;
    const { id, name } = this;
    const now = Math.floor(Date.now() / 1000);
    const features = ['roster', 'relay', 'spawn'];
    const params = { id, key: name, name, version: '1', features, below: this.hubs.below, now };
    const { epoch, seq } = upper.hubs.join(this.#caller, params);
    this.#share.begin(upper.id, epoch === undefined || seq === undefined ? null : { epoch, seq });
  }

  /** @returns whether there was something to say */
  say(): boolean {
    if (this.#caller === null) return false;
    const text = this.#share.next(moment());
    if (text === null) return false;
    const params = JSON.parse(text);
    try {
      const { left_out } = (this.#upper as TestHub).hubs.share(this.#caller, params);
      assert.equal(left_out, undefined);
    } catch (error) {
      assert.match(String(error), /Out of step/);
      this.#share.outOfStep(params.seq);
    }
    return true;
  }

  /** Something is said that never arrives, and then the link is cut. */
  sayInVain(): void {
    if (this.#caller !== null) this.#share.next(moment());
    this.cut();
  }
}

describe('a tree of hubs', () => {
  const AGENTS = ['a', 'b', 'c', 'a@laptop'];
  // The top; two that have joined it; and three that have joined those.
  const TREE = [null, 0, 0, 1, 1, 2] as const;
  const COMMAND = fc.tuple(
    fc.constantFrom('change', 'remove', 'cut', 'join', 'say', 'sayInVain', 'restart'),
    fc.nat(TREE.length - 1),
    fc.constantFrom(...AGENTS),
  );

  it('shows at each hub all agents below, whatever happens on the way', () => {
    const deadlines = new Deadlines();
    fc.assert(
      fc.property(fc.array(COMMAND, { maxLength: 150, size: 'max' }), (commands) => {
        const tree: TestHub[] = [];
        // Two of them have the same name.
        const names = ['desk', 'server', 'laptop', 'laptop ', 'tablet', 'phone'];
        for (const [i, upper] of TREE.entries()) {
          tree.push(new TestHub(names[i] as string, upper === null ? null : (tree[upper] as TestHub), deadlines));
        }
        for (const hub of tree) for (const id of AGENTS.slice(0, 2)) hub.change(id);
        for (const [kind, index, agentId] of commands) {
          const hub = tree[index] as TestHub;
          if (kind === 'change' || kind === 'remove') hub[kind](agentId);
          else if (kind === 'say') hub.say();
          else hub[kind as 'cut' | 'join' | 'sayInVain' | 'restart']();
        }
        for (const hub of tree) hub.join();
        let isBusy = true;
        for (let round = 0; isBusy; round++) {
          assert.ok(round < 10_000, 'it comes to an end');
          isBusy = tree.map((hub) => hub.say()).includes(true);
        }
        for (const [index, hub] of tree.entries())
          check(
            hub,
            below(index).map((i) => tree[i] as TestHub),
          );
        for (const hub of tree) {
          hub.hubs.close();
          hub.roster.close();
        }
      }),
      { numRuns: 150 },
    );
  });

  /** The hub itself, and all below it. */
  function below(index: number): number[] {
    return [index, ...TREE.flatMap((upper, i) => (upper === index ? below(i) : []))];
  }

  function check(hub: TestHub, all: readonly TestHub[]): void {
    const nodes = JSON.parse(hub.roster.nodesJson) as Node[];
    const machines = hub.hubs.listMachines();
    const shown = nodes.map((node) => {
      const [origin = hub.id] = hub.roster.pathOf(node.id);
      const machine = machines.find(({ id }) => id === origin);
      assert.equal(node.hub, origin === hub.id ? undefined : machine?.name, 'it is shown at its machine');
      assert.equal(node.reach, undefined, 'no link is lost');
      return `${origin} ${node.name}`;
    });
    const expected = all.flatMap(({ id, own }) => [...own.values()].map((name) => `${id} ${name}`));
    assert.deepEqual(shown.sort(), expected.sort());
    for (const agentId of hub.own.keys())
      assert.equal(hub.roster.get(agentId)?.hub, undefined, 'its own have their ids');
    assert.deepEqual(machines.map(({ id }) => id).sort(), all.map(({ id }) => id).sort());
    assert.ok(machines.every(({ status }) => status === 'connected'));
  }
});
