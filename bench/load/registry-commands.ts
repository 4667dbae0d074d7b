/** The commands of a load's process for a registry: agents' uplinks, dashboards, and the events that they wait for. */
import { setTimeout as delay } from 'node:timers/promises';
import { NodeStatus } from '../../src/protocol/registry.ts';
import { eventually, inLanes } from '../../test/support/measure.ts';
import { cpuSeconds } from '../cpu.ts';
import { spreadOf, sum } from '../rounds.ts';
import { WrongAnswer } from './checker.ts';
import { DRIVER_ID, Driver, type DriverForm, EVENT_BYTES } from './driver.ts';
import { type AgentNode, Dashboard, LANES, Uplink } from './registry.ts';
import { fail, failed, tally } from './state.ts';
import { countTurns } from './turns.ts';
import { type Counted, type Counting, countWhile, countWindow, Tally } from './window.ts';

const PATIENCE_MS = 10_000;
const QUIET_MS = 50;
const THOUSAND = 1000;

/** The ports that agents claim which come and go, apart from those of agents that stay. */
const VISITOR_PORTS = { first: 40_000, count: 20_000 };

let uplinks: Uplink[] = [];
/** Connections of agents that the roster was given in another way. */
const untold: Uplink[] = [];
let dashboards: Dashboard[] = [];
/** One more for each server that was let end. */
let generation = 0;

export interface Crowd {
  port: number;
  /** So many are under way at any moment; the next comes once one of them is there. */
  atATime: number;
}

export interface Arrival {
  port: number;
  connections: number;
  /** In the roster that each of them is to get. */
  nodes: number;
  pids: number[];
}

export interface Storm extends Counted {
  /** Microseconds of the server's processor time for a register, thousand after thousand. */
  costs: number[];
  /** To the agents among the second and among the last thousand, the median: all that came until the storm was over. */
  bytesToSecond: number;
  bytesToLast: number;
  /** Rosters that dashboards got beyond their first: in each, events were skipped. */
  secondInits: number;
}

export interface DriveOptions extends Counting {
  port: number;
  path: string;
  form: DriverForm;
  /** One write of the driver causes so many. */
  eventsPerWrite: number;
}

export const registryCommands = {
  /** Registers agents, each over an uplink of its own that stays open. Not counted. */
  async register({ port, nodes }: { port: number; nodes: readonly AgentNode[] }): Promise<void> {
    const register = async (i: number) => {
      uplinks.push(await Uplink.register(port, nodes[i] as AgentNode, faultHandler()));
    };
    await Promise.race([failed, inLanes(nodes.length, LANES, register)]);
  },

  /**
   * Brings a peer to where `register` would, without its cost, which grows with the square of their number: as many
   * connections, and then a roster that nobody was told of. Not counted.
   */
  async registerUntold({ port, nodes }: { port: number; nodes: readonly AgentNode[] }): Promise<void> {
    const teller = await Uplink.open(port, faultHandler());
    await Promise.race([failed, fillUntold(port, teller, nodes)]);
  },

  /** Agents that register, deregister and go. Not counted: it warms the server up. */
  async comeAndGo({ port, agents }: { port: number; agents: number }): Promise<void> {
    await Promise.race([failed, inLanes(agents, LANES, (i) => comeAndGo(port, i))]);
  },

  /** The same for a window. Counts agents; the latency is that from the first byte to the last. */
  async churn({ port, atATime, ...counting }: Crowd & Counting): Promise<Counted> {
    const counted = await countTurns(counting, atATime, (i) => comeAndGo(port, i));
    await toldOf(counted.work);
    return counted;
  },

  /** Opens dashboards, and waits until each has its roster. From then on `count` counts the pushes they get. */
  async watch({ port, connections }: { port: number; connections: number }): Promise<void> {
    // One dashboard reads the events that all of them get.
    await Promise.race([failed, inLanes(connections, LANES, async (i) => void (await openDashboard(port, i === 0)))]);
  },

  /** Dashboards come all at once. Counts them; the latency is that from the first byte to the last of the roster. */
  async arrive({ port, connections, nodes, pids }: Arrival): Promise<Counted> {
    const arrivals = new Tally();
    const arrive = async (i: number) => {
      const beganAt = performance.now();
      const dashboard = await openDashboard(port, i === 0);
      arrivals.onLatency(performance.now() - beganAt);
      arrivals.onMessage(dashboard.bytesReceived);
    };
    const arriveAll = () => Promise.race([failed, inLanes(connections, connections, arrive)]);
    const counted = await countWhile(pids, arrivals, arriveAll);
    sameRoster(dashboards, nodes);
    return counted;
  },

  /** Dashboards come, get the roster and go, for a window. Counts them. */
  async visit({ port, atATime, nodes, ...counting }: Crowd & Counting & { nodes: number }): Promise<Counted> {
    const first = await Dashboard.open(port, true, () => {}, faultHandler());
    return countTurns(counting, atATime, async () => {
      const dashboard = await Dashboard.open(port, false, () => {}, faultHandler());
      sameRoster([first, dashboard], nodes);
      dashboard.leave();
    });
  },

  /**
   * Agents arrive and stay; with `dashboards`, so many come among them. It lasts until everyone has been told of
   * everyone. Counts registers; the latency is that from the first byte of a connection to the answer.
   */
  async storm(options: Crowd & { nodes: AgentNode[]; dashboards?: number; pids: number[] }): Promise<Storm> {
    const { port, atATime, nodes, pids, dashboards: newDashboards = 0 } = options;
    const registers = new Tally();
    const cpu = [cpuSeconds(pids)];
    const register = async (node: AgentNode) => {
      await registerOne(port, node, registers);
      if (uplinks.length % THOUSAND === 0) cpu.push(cpuSeconds(pids));
    };
    const all = nodes.length + newDashboards;
    const dashboardEvery = newDashboards === 0 ? Number.POSITIVE_INFINITY : Math.floor(all / newDashboards);
    const come = async (i: number) => {
      const dashboardsBefore = Math.min(newDashboards, Math.ceil(i / dashboardEvery));
      if (i % dashboardEvery === 0 && dashboardsBefore < newDashboards) await openDashboard(port, true);
      else await register(nodes[i - dashboardsBefore] as AgentNode);
    };
    const counted = await countWhile(pids, registers, async () => {
      await Promise.race([failed, inLanes(all, atATime, come)]);
      await settled(nodes.length);
    });
    const bytes = uplinks.map(({ bytesReceived }) => bytesReceived);
    return {
      ...counted,
      bytes: bytesReceived(),
      costs: cpu.slice(1).map((seconds, i) => ((seconds - (cpu[i] as number)) * 1e6) / THOUSAND),
      bytesToSecond: medianOf(bytes.slice(THOUSAND).slice(0, THOUSAND)),
      bytesToLast: medianOf(bytes.slice(-THOUSAND)),
      secondInits: sum(dashboards.map(({ inits }) => inits - 1)),
    };
  },

  /**
   * The cost of a storm from samples, if a whole one takes minutes. In the middle of each thousand, which was filled in
   * without events, a few agents register and everyone is told of them. Each sample stands for its thousand.
   */
  async sampledStorm(options: { port: number; nodes: AgentNode[]; samples: number; pids: number[] }): Promise<Storm> {
    const { port, nodes, samples, pids } = options;
    const share = THOUSAND / samples;
    const teller = await Uplink.open(port, faultHandler());
    const thousands: Counted[] = [];
    for (let middle = THOUSAND / 2; middle < nodes.length; middle += THOUSAND) {
      const from = middle - samples / 2;
      await Promise.race([failed, fillUntold(port, teller, nodes.slice(0, from))]);
      const registers = new Tally();
      const bytesBefore = bytesReceived();
      const counted = await countWhile(pids, registers, async () => {
        const register = (i: number) => registerOne(port, nodes[from + i] as AgentNode, registers);
        await Promise.race([failed, inLanes(samples, samples, register)]);
        await quiet();
      });
      thousands.push({ ...counted, bytes: bytesReceived() - bytesBefore });
    }
    const bytes = uplinks.map(({ bytesReceived }) => bytesReceived);
    return {
      work: nodes.length,
      bytes: sum(thousands.map(({ bytes }) => bytes)) * share,
      cpuSeconds: sum(thousands.map(({ cpuSeconds }) => cpuSeconds)) * share,
      seconds: sum(thousands.map(({ seconds }) => seconds)) * share,
      costs: thousands.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / samples),
      bytesToSecond: medianOf(bytes.slice(samples).slice(0, samples)),
      bytesToLast: medianOf(bytes.slice(-samples)),
      secondInits: sum(dashboards.map(({ inits }) => inits - 1)),
    };
  },

  /** Forgets all connections, because the server may end from now on. */
  async letEnd(): Promise<void> {
    generation++;
    uplinks = [];
    dashboards = [];
  },

  /** Waits until all dashboards have got as much, and those that read have as many active nodes. */
  async settle({ activeNodes }: { activeNodes: number }): Promise<void> {
    await settled(activeNodes);
  },

  /**
   * Causes events, so many in a write, and more once all dashboards have got all of them. Counts the pushes that they
   * get; the latency is that until the last has the last.
   */
  async drive({ port, path, form, eventsPerWrite, ...counting }: DriveOptions): Promise<Counted> {
    const driver = await Driver.open(port, path, form, faultHandler());
    const reader = dashboards.find(({ roster }) => roster !== null);
    const eventsBefore = dashboards.map(({ events }) => events);
    const perWrite = eventsPerWrite * dashboards.length;
    let due = 0;
    let wroteAt = 0;
    let onAll = () => {};
    const write = () => {
      due = perWrite;
      wroteAt = performance.now();
      driver.cause(eventsPerWrite);
    };
    onEvent = (payloadBytes) => {
      tally.onMessage(payloadBytes);
      if (payloadBytes !== EVENT_BYTES) fail(new WrongAnswer(`an event of ${payloadBytes} bytes, not ${EVENT_BYTES}`));
      if (--due > 0) return;
      tally.onLatency(performance.now() - wroteAt);
      const { pid } = reader?.roster?.get(DRIVER_ID) ?? {};
      if (pid !== driver.lastPid) fail(new WrongAnswer(`the last event was ${pid}, not ${driver.lastPid}`));
      onAll();
    };
    onAll = write;
    write();
    const counted = await Promise.race([failed, countWindow(counting, tally)]);
    const allCame = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    const late = delay(PATIENCE_MS).then(() => Promise.reject(new Error(`${due} events did not come`)));
    await Promise.race([failed, allCame, late]);
    const got = new Set(dashboards.map(({ events }, i) => events - (eventsBefore[i] as number)));
    if (got.size > 1) throw new WrongAnswer(`dashboards got ${[...got].join(' or ')} events`);
    return counted;
  },
};

let onEvent: (payloadBytes: number) => void = tally.onMessage;

/** The handler of a connection to the current server, which may end once the server may. */
function faultHandler(): (error: Error) => void {
  const mine = generation;
  return (error) => {
    if (mine === generation) fail(error);
  };
}

async function openDashboard(port: number, reads: boolean): Promise<Dashboard> {
  const dashboard = await Dashboard.open(port, reads, (payloadBytes) => onEvent(payloadBytes), faultHandler());
  dashboards.push(dashboard);
  return dashboard;
}

async function registerOne(port: number, node: AgentNode, registers: Tally): Promise<void> {
  const beganAt = performance.now();
  uplinks.push(await Uplink.register(port, node, faultHandler()));
  registers.onLatency(performance.now() - beganAt);
  registers.onMessage(0);
}

/**
 * So many bytes of two rosters may differ: as dashboards come, the registry finds out about a few hundred agents that
 * nobody listens at their ports, and notes why.
 */
const NOTED_BYTES = 64 * 1024;

/** One of them has read its roster; those of the others are about as large. */
function sameRoster(told: readonly Dashboard[], nodes: number): void {
  const known = told.find(({ roster }) => roster !== null)?.roster?.size;
  if (known !== nodes) throw new WrongAnswer(`a dashboard got ${known} nodes, not ${nodes}`);
  const sizes = told.map(({ bytesReceived }) => bytesReceived).sort((a, b) => a - b);
  const [least = 0, greatest = least] = [sizes[0], sizes.at(-1)];
  if (greatest - least > NOTED_BYTES) throw new WrongAnswer(`dashboards got ${least} to ${greatest} bytes`);
}

/** Dashboards connect while the roster is empty, because each gets all of it. */
async function fillUntold(port: number, teller: Uplink, nodes: readonly AgentNode[]): Promise<void> {
  const take = (taken: readonly AgentNode[]) => teller.ask({ method: 'take_nodes', params: { nodes: taken } }, 'taken');
  await take([]);
  await inLanes(nodes.length - untold.length - uplinks.length, LANES, async () => {
    untold.push(await Uplink.open(port, faultHandler()));
  });
  await take(nodes);
}

function bytesReceived(): number {
  return sum([...uplinks, ...untold, ...dashboards].map((connection) => connection.bytesReceived));
}

/** Until nothing has come for a while. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== bytesReceived(); await Promise.race([failed, delay(QUIET_MS)])) {
    before = bytesReceived();
  }
}

async function comeAndGo(port: number, i: number): Promise<void> {
  const node = { id: `visitor-${i}`, port: VISITOR_PORTS.first + (i % VISITOR_PORTS.count) };
  const uplink = await Uplink.register(port, node, faultHandler());
  await uplink.leave();
}

/** Waits until each dashboard has got as many events at the least. */
async function toldOf(events: number): Promise<void> {
  await until(() => {
    const untold = dashboards.filter((dashboard) => dashboard.events < events).length;
    return untold === 0 ? null : `${untold} dashboards were not told of ${events} events`;
  });
}

async function settled(activeNodes: number): Promise<void> {
  await until(() => notYet(activeNodes));
}

/** @param look returns the problem; null once there is none */
async function until(look: () => string | null): Promise<void> {
  const check = () => {
    const wrong = look();
    if (wrong !== null) throw new WrongAnswer(wrong);
  };
  await Promise.race([failed, eventually(check, PATIENCE_MS)]);
}

function notYet(activeNodes: number): string | null {
  // If all dashboards read, they may have come at different times, and got different events.
  const someCount = dashboards.some(({ roster }) => roster === null);
  const got = new Set(someCount ? dashboards.map(({ events }) => events) : []);
  for (const { roster } of dashboards) {
    if (roster === null) continue;
    let active = 0;
    for (const { status } of roster.values()) if (status === NodeStatus.ACTIVE) active++;
    if (active !== activeNodes) return `a dashboard knows ${active} active nodes, not ${activeNodes}`;
  }
  return got.size > 1 ? `dashboards got ${[...got].join(' or ')} events` : null;
}

/** 0 if there are none. */
function medianOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : spreadOf(values).median;
}
