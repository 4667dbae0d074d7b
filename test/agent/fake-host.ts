/** A pi that does what it is told, for the session without a pi. */
import { Agent, type ClientConnection } from '../../src/agent/agent.ts';
import type { Client } from '../../src/agent/audience.ts';
import type { AgentHost } from '../../src/agent/host.ts';
import type { PiContent, PiSendOptions } from '../../src/agent/pi.ts';
import type { Command, FromAgent, Message, SessionInfo } from '../../src/protocol/agent.ts';
import type { Position } from '../../src/protocol/subprotocol.ts';

export class FakeHost implements AgentHost {
  readonly cwd = '/home/u/project';
  features: AgentHost['features'] = ['queue', 'steer', 'commands', 'attachments', 'questions'];
  settles = true;
  stored: Message[] = [];
  info: SessionInfo = { id: 'session-1', model: 'mock-1' };
  sent: { content: PiContent; options: PiSendOptions }[] = [];
  aborts = 0;
  idle = true;
  holds = false;

  messages(): Message[] {
    return [...this.stored];
  }
  session(): SessionInfo {
    return { ...this.info };
  }
  tools() {
    return [{ name: 'bash', description: 'Runs a command' }];
  }
  commands(): Command[] {
    return [{ name: '/deploy', description: 'Deploys' }];
  }
  isCommand(text: string): boolean {
    return text.split(' ')[0] === '/deploy';
  }
  send(content: PiContent, options: PiSendOptions): void {
    this.sent.push({ content, options });
  }
  abort(): void {
    this.aborts++;
  }
  isIdle(): boolean {
    return this.idle;
  }
  holdsMessages(): boolean {
    return this.holds;
  }
  async listFiles(prefix: string) {
    return [{ path: `${prefix}file`, isDirectory: false }];
  }
}

export class FakeClient implements Client {
  readonly isClassic: boolean;
  readonly received: string[] = [];
  closed: [number, string] | null = null;
  connection: ClientConnection | null = null;

  constructor(isClassic = false) {
    this.isClassic = isClassic;
  }

  send(text: string): void {
    this.received.push(text);
  }
  close(closeCode: number, closeReason: string): void {
    this.closed = [closeCode, closeReason];
  }
  get messages(): FromAgent[] {
    return this.received.map((text) => JSON.parse(text) as FromAgent);
  }
  /** What came since the last call. */
  take(): FromAgent[] {
    const messages = this.messages;
    this.received.length = 0;
    return messages;
  }
  say(request: object | string): void {
    this.connection?.receive(typeof request === 'string' ? request : JSON.stringify(request));
  }
}

/** A session with its clock in hand. */
export function setUp(host = new FakeHost()) {
  let now = 1_000_000;
  const timers: { at: number; callback: () => void }[] = [];
  const faults: unknown[] = [];
  let details = 0;
  const clock = {
    now: () => now,
    after: (delayMs: number, callback: () => void) => void timers.push({ at: now + delayMs, callback }),
  };
  const agent = new Agent(host, clock, 'epoch1', {
    onDetails: () => details++,
    onFault: (error) => faults.push(error),
  });
  const connect = (isClassic = false, resumeFrom: Position | null = null): FakeClient => {
    const client = new FakeClient(isClassic);
    client.connection = agent.connect(client, resumeFrom);
    return client;
  };
  /** Lets time pass, and calls back what is due. */
  const pass = (ms: number) => {
    const end = now + ms;
    for (;;) {
      const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      timers.splice(timers.indexOf(next), 1);
      now = Math.max(now, next.at);
      next.callback();
    }
    now = end;
  };
  const user = (text: string): Message => ({ role: 'user', content: [{ type: 'text', text }], timestamp: now });
  /** pi says and stores a message, in its order. */
  const say = (message: Message) => {
    agent.piEvent('message_start', { message });
    agent.piEvent('message_end', { message });
    host.stored.push(message);
  };
  return { agent, host, connect, pass, faults, timers, user, say, detailsTold: () => details };
}

export const types = (messages: FromAgent[]) => messages.map(({ type }) => type);

export const assistant = (text: string): Message => ({
  role: 'assistant',
  content: [{ type: 'text', text }],
  timestamp: 7,
  stopReason: 'stop',
});

/** pi's event for more text of an answer. */
export const delta = (text: string) => ({
  message: { role: 'assistant' },
  assistantMessageEvent: { type: 'text_delta', contentIndex: 0, delta: text },
});
