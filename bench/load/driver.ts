/** Causes events: an agent that registers again and again, or, at a peer, a client that sends the push itself. */
import { encodeText } from '../../src/frame/encode.ts';
import { type Node, NodeStatus } from '../../src/protocol/registry.ts';
import { BeginningReader } from './checker.ts';
import { Endpoint } from './endpoint.ts';

/** The push that everyone gets. */
export const EVENT_BYTES = 300;

export const DRIVER_ID = 'driver';

/** A number of seven digits in each push, one more each time, so that all are different and as long. */
const FIRST_PID = 1_000_000;

/** A port that no agent of the load has: the driver would take that agent's place. */
const DRIVER_PORT = 65_535;

/** Its message for one event: a register, the push itself, or the very frame that is to come, unmasked. */
export type DriverForm = 'register' | 'push' | 'frame';

export class Driver {
  readonly #endpoint: Endpoint;
  readonly #form: DriverForm;
  #nextPid = FIRST_PID;

  private constructor(endpoint: Endpoint, form: DriverForm) {
    this.#endpoint = endpoint;
    this.#form = form;
  }

  static async open(port: number, path: string, form: DriverForm, onFault: (error: Error) => void): Promise<Driver> {
    const sink = new BeginningReader(() => {});
    return new Driver(await Endpoint.open(port, path, () => ({ sink, onFault })), form);
  }

  /** In the last push that it has caused. */
  get lastPid(): number {
    return this.#nextPid - 1;
  }

  /** So many messages in one write, each for one event. */
  cause(events: number): void {
    const side = this.#form === 'frame' ? 'server' : 'client';
    const frames = Array.from({ length: events }, () => encodeText(side, this.#messageFor(this.#nextPid++)));
    this.#endpoint.write(Buffer.concat(frames));
  }

  #messageFor(pid: number): string {
    const node: Node = { ...NODE, pid };
    if (this.#form !== 'register') return JSON.stringify({ event: 'node_joined', node });
    const { last_seen, ...params } = node;
    return JSON.stringify({ method: 'register', params });
  }
}

const NODE = driverNode();

function driverNode(): Node {
  const node: Node = {
    id: DRIVER_ID,
    machine: '127.0.0.1',
    cwd: '/',
    port: DRIVER_PORT,
    status: NodeStatus.ACTIVE,
    last_seen: Math.floor(Date.now() / 1000),
    pid: FIRST_PID,
  };
  const bytes = JSON.stringify({ event: 'node_joined', node }).length;
  return { ...node, cwd: node.cwd.padEnd(node.cwd.length + EVENT_BYTES - bytes, 'x') };
}
