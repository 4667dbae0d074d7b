/** The two kinds that come to a registry: agents' uplinks, and dashboards. */
import { encodeText } from '../../src/frame/encode.ts';
import { type Node, NodeStatus, type Push, REGISTRY_PATH, type Request } from '../../src/protocol/registry.ts';
import { BeginningReader, TextReader, WrongAnswer } from './checker.ts';
import { Endpoint } from './endpoint.ts';

/** How many connections are opened at a time, unless said otherwise. */
export const LANES = 64;

/** An agent to be, which is found on this machine. */
export interface AgentNode {
  id: string;
  port: number;
}

type OnFault = (error: Error) => void;
type OnEvent = (payloadBytes: number) => void;

const REQUEST_ID = 1;
const REGISTERED_BACK = `{"id":${REQUEST_ID},"result":{"status":"registered","dial_back":true}}`;
const ANSWER_BEGINNING = Buffer.from('{"id"');
const INIT_BEGINNING = Buffer.from('{"event":"init"');

/** An agent's connection to the registry. It looks for the answers, and lets pushes pass. */
export class Uplink {
  readonly #endpoint: Endpoint;
  #id = '';
  #onAnswer: (answer: string) => void = () => {};

  private constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** @returns one that has not registered */
  static async open(port: number, onFault: OnFault): Promise<Uplink> {
    const sink = new BeginningReader((beginning) => {
      if (beginsWith(beginning, ANSWER_BEGINNING)) uplink.#onAnswer(beginning.toString());
    });
    const uplink = new Uplink(await Endpoint.open(port, REGISTRY_PATH, () => ({ sink, onFault })));
    return uplink;
  }

  /** @returns once the registry has said that the agent is registered */
  static async register(port: number, { id, port: agentPort }: AgentNode, onFault: OnFault): Promise<Uplink> {
    const uplink = await Uplink.open(port, onFault);
    uplink.#id = id;
    const params = { id, machine: '127.0.0.1', cwd: '/home/user/project', port: agentPort, status: NodeStatus.ACTIVE };
    await uplink.ask({ method: 'register', params }, 'registered');
    return uplink;
  }

  /**
   * Registers an agent that cannot be dialled: it opens a connection whenever it is asked to.
   *
   * @param onTicket is asked to
   */
  static async registerBack(
    port: number,
    id: string,
    onTicket: (ticket: string) => void,
    onFault: OnFault,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const sink = new TextReader((text) => {
        const { id: answered, event, ticket } = JSON.parse(text);
        if (event === 'dial_back') onTicket(ticket);
        else if (text === REGISTERED_BACK) resolve();
        else if (answered !== undefined) reject(new WrongAnswer(`${REGISTERED_BACK} expected, ${text} came`));
      });
      Endpoint.open(port, REGISTRY_PATH, () => ({ sink, onFault })).then((endpoint) => {
        const params = { id, machine: 'elsewhere', cwd: '/', port: 1, status: NodeStatus.ACTIVE, dial_back: true };
        endpoint.write(encodeText('client', JSON.stringify({ id: REQUEST_ID, method: 'register', params })));
      }, reject);
    });
  }

  /** Heads, frames and payloads that came from the registry. */
  get bytesReceived(): number {
    return this.#endpoint.socket.bytesRead;
  }

  /** Deregisters and ends the connection. */
  async leave(): Promise<void> {
    await this.ask({ method: 'deregister', params: { id: this.#id } }, 'deregistered');
    this.#endpoint.leave();
  }

  /** @throws {WrongAnswer} if the answer has another status */
  async ask(request: Request, status: string): Promise<void> {
    const answer = await new Promise<string>((resolve) => {
      this.#onAnswer = resolve;
      this.#endpoint.write(encodeText('client', JSON.stringify({ id: REQUEST_ID, ...request })));
    });
    const expected = `{"id":${REQUEST_ID},"result":{"status":"${status}"}}`;
    if (answer !== expected) throw new WrongAnswer(`${expected} expected, ${answer} came`);
  }
}

/** Watches the roster, or only counts the pushes. */
export class Dashboard {
  /** Null if it only counts. */
  readonly roster: Map<string, Node> | null;
  /** Pushes since the first roster. */
  events = 0;
  /** The number of rosters. Each beyond the first replaces events that it did not get. */
  inits = 0;
  readonly #onEvent: OnEvent;
  #endpoint: Endpoint | null = null;
  #opened = () => {};

  private constructor(reads: boolean, onEvent: OnEvent) {
    this.roster = reads ? new Map() : null;
    this.#onEvent = onEvent;
  }

  /** @returns once it has its roster */
  static async open(port: number, reads: boolean, onEvent: OnEvent, onFault: OnFault): Promise<Dashboard> {
    const dashboard = new Dashboard(reads, onEvent);
    const done = new Promise<void>((resolve) => {
      dashboard.#opened = resolve;
    });
    const sink = reads
      ? new TextReader((text) => dashboard.#apply(JSON.parse(text), text.length))
      : new BeginningReader((beginning, payloadBytes) => {
          dashboard.#onPush(beginsWith(beginning, INIT_BEGINNING), payloadBytes);
        });
    dashboard.#endpoint = await Endpoint.open(port, REGISTRY_PATH, () => ({ sink, onFault }), true);
    await done;
    return dashboard;
  }

  /** Heads, frames and payloads that came from the registry. */
  get bytesReceived(): number {
    return this.#endpoint?.socket.bytesRead ?? 0;
  }

  leave(): void {
    this.#endpoint?.leave();
  }

  #onPush(isInit: boolean, payloadBytes: number): void {
    if (isInit) {
      this.inits++;
      this.#opened();
    } else {
      this.events++;
      this.#onEvent(payloadBytes);
    }
  }

  #apply(push: Push, payloadBytes: number): void {
    const roster = this.roster as Map<string, Node>;
    switch (push.event) {
      case 'init':
        roster.clear();
        for (const node of push.nodes) roster.set(node.id, node);
        break;
      case 'node_joined':
        roster.set(push.node.id, push.node);
        break;
      case 'node_offline': {
        const node = roster.get(push.id);
        if (node !== undefined) roster.set(push.id, { ...node, status: NodeStatus.OFFLINE });
        break;
      }
      case 'node_removed':
        roster.delete(push.id);
    }
    this.#onPush(push.event === 'init', payloadBytes);
  }
}

function beginsWith(message: Buffer, beginning: Buffer): boolean {
  return message.compare(beginning, 0, beginning.length, 0, Math.min(message.length, beginning.length)) === 0;
}
