/**
 * The load, in a process of its own: `load.ts <port> <events a second> <node TTL in seconds> <pid of the daemon>`. It is
 * told to finish by a message.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type Node, NodeStatus, REGISTRY_PATH } from '../../src/protocol/registry.ts';
import { Audience, isSame } from './audience.ts';
import { Dashboard } from './dashboard.ts';
import { Faults } from './faults.ts';
import { Fleet } from './fleet.ts';
import { Peer } from './peer.ts';
import { RelayAgents, Relays } from './relays.ts';
import type { Latency, Outcome, Report } from './report.ts';

const AGENTS = 500;
const RELAY_AGENTS = 8;
const RELAYS_A_SECOND = 20;
const TICK_MS = 5;
/** What a tick may make up for, after one that came late. */
const MAX_BURST = 100;
const PATIENCE_MS = 20_000;

const [port = 0, eventsPerSecond = 0, nodeTtlSeconds = 0, daemonPid = 0] = process.argv.slice(2).map(Number);

/** A measure's histogram of this second and of all of them, in microseconds. */
class Measure {
  readonly #all = createHistogram();
  readonly #second = createHistogram();

  record(microseconds: number): void {
    this.#all.record(Math.max(1, microseconds));
    this.#second.record(Math.max(1, microseconds));
  }

  takeSecond(): Latency {
    const latency = latencyOf(this.#second);
    this.#second.reset();
    return latency;
  }

  get all(): Latency {
    return latencyOf(this.#all);
  }
}

function latencyOf(histogram: RecordableHistogram): Latency {
  if (histogram.count === 0) return { p50: null, p99: null };
  return { p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 };
}

const faults = new Faults();
const events = new Measure();
const roundTrips = new Measure();
const fleet = new Fleet(port, faults, (microseconds) => events.record(microseconds));
const watcher = new Dashboard(faults);
const audience = new Audience(port, faults);
const relayAgents = new RelayAgents(faults);

function tell(report: Report, onTold: () => void = () => {}): void {
  process.send?.(report, onTold);
}

const total = (tally: Record<string, number>) => Object.values(tally).reduce((sum, count) => sum + count, 0);

async function eventually(isSo: () => boolean | Promise<boolean>, patienceMs: number): Promise<void> {
  const endsAt = performance.now() + patienceMs;
  while (!(await isSo()) && performance.now() < endsAt) await delay(50);
}

async function listNodes(): Promise<Map<string, Node>> {
  const peer = await Peer.open(port, REGISTRY_PATH);
  const nodes = await new Promise<Node[]>((resolve) => {
    peer.onText = (text) => {
      const message = JSON.parse(text);
      if (message.id === 1 && message.event === undefined) resolve(message.result);
    };
    peer.sendText('{"id":1,"method":"list_nodes"}');
  });
  peer.close();
  return new Map(nodes.map((node) => [node.id, node]));
}

async function finish(relays: Relays): Promise<Outcome> {
  audience.wake();
  await eventually(() => relays.open === 0 && fleet.busy === 0, PATIENCE_MS);
  // Who left for good has to expire.
  const told = () => total(fleet.seen) >= total(fleet.caused);
  await eventually(told, nodeTtlSeconds * 1000 + PATIENCE_MS);
  let nodes = await listNodes();
  const agree = async () => {
    nodes = await listNodes();
    return audience.disagreeing(nodes) === 0 && isSame(watcher.roster, nodes);
  };
  await eventually(agree, PATIENCE_MS);
  const active = [...nodes.values()].filter(({ status }) => status === NodeStatus.ACTIVE).length;
  if (active !== AGENTS + RELAY_AGENTS) faults.add(`${active} active nodes, not ${AGENTS + RELAY_AGENTS}`);
  return {
    kind: 'outcome',
    caused: fleet.caused,
    seen: fleet.seen,
    watcherResyncs: watcher.inits - 1,
    nodes: nodes.size,
    dashboards: audience.size + 1,
    disagreeing: audience.disagreeing(nodes) + (isSame(watcher.roster, nodes) ? 0 : 1),
    visits: audience.visits,
    resyncs: audience.resyncs,
    turnedOut: audience.turnedOut,
    relays: relays.opened,
    messages: relays.messages,
    events: events.all,
    roundTrips: roundTrips.all,
    faults: { count: faults.count, words: faults.words },
  };
}

async function main(): Promise<void> {
  const finished = new Promise<void>((resolve) => process.once('message', () => resolve()));
  watcher.onEvent = (event) => fleet.observe(event);
  await watcher.open(port);
  await audience.come();
  const ids: string[] = [];
  for (let i = 0; i < RELAY_AGENTS; i++) ids.push(await fleet.join(await relayAgents.serve()));
  for (let i = 0; i < AGENTS; i++) await fleet.join();
  const relays = new Relays(port, relayAgents, ids, faults, (microseconds) => roundTrips.record(microseconds));

  const begin = performance.now();
  let acted = 0;
  const tick = setInterval(() => {
    const due = ((performance.now() - begin) / 1000) * eventsPerSecond;
    // What could not be caused in time is not made up for: the rate is told as it was.
    acted = Math.max(acted, due - MAX_BURST);
    while (acted < due) {
      const caused = fleet.act();
      if (caused === 0) break;
      acted += caused;
    }
  }, TICK_MS);
  const opener = setInterval(() => void relays.run(), 1000 / RELAYS_A_SECOND);
  const clock = setInterval(() => {
    audience.turnOver();
    tell({
      kind: 'second',
      caused: total(fleet.caused),
      dashboards: audience.size + 1,
      relays: relays.open,
      events: events.takeSecond(),
      roundTrips: roundTrips.takeSecond(),
    });
  }, 1000);

  tell({ kind: 'ready' });
  await finished;
  for (const timer of [tick, opener, clock]) clearInterval(timer);
  tell(await finish(relays), () => process.exit());
}

// A Ctrl-C reaches all processes of the terminal. This one ends when it is told to, or when whoever started it was
// killed; then nobody else is left to end the daemon.
process.on('SIGINT', () => {});
process.once('disconnect', () => {
  process.kill(daemonPid);
  process.exit();
});
await main();
