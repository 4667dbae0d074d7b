/** A served session of pi. It puts the agent, its server, its uplink and its terminal together, and ends them. */
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import { AgentCloseCode, successorReason } from '../protocol/agent.ts';
import { NODE_LIMITS, NodeStatus } from '../protocol/registry.ts';
import { Connections } from '../transport/connections.ts';
import { Deadline, Deadlines } from '../transport/deadlines.ts';
import { Agent } from './agent.ts';
import type { Boundary } from './boundary.ts';
import type { Daemon } from './daemon.ts';
import { Dialogs } from './dialogs.ts';
import { examine, type Finding } from './doctor.ts';
import { footerText } from './footer.ts';
import { PiHost } from './host.ts';
import type { AgentLog } from './log.ts';
import type { PiApi, PiContext, PiEvents } from './pi.ts';
import { clip, newNodeId } from './presence.ts';
import { AgentServer } from './server.ts';
import { dashboardUrl, type Settings } from './settings.ts';
import { Uplink, type UplinkStatus } from './uplink.ts';

/** The most connections of one session, in and out. */
const MAX_CONNECTIONS = 512;
/** How long pi waits for the last messages to leave. */
const GOODBYE_MS = 150;
/** The time between two reads of the session's details on older pis, which do not say that a session has got a name. */
const REFRESH_MS = 5000;

/** The values that the next session of this process begins with. */
export interface Inheritance {
  readonly nodeId: string;
  /** The port to try first. */
  readonly port: number | null;
}

/** The values that the sessions of a process have in common. */
export interface ProcessState {
  inheritance: Inheritance | null;
  /** The key that the daemon presents when it dials any session of this process. */
  readonly dialKey: string;
  /** The id of the spawn that started this process; null if it was not a daemon's spawn. */
  spawnId: string | null;
}

export interface SessionContext {
  readonly pi: PiApi;
  readonly context: PiContext;
  readonly settings: Settings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly shared: ProcessState;
  readonly daemon: Daemon;
  readonly log: AgentLog;
  readonly boundary: Boundary;
  /** Whether pi says when a run has ended for good. */
  readonly settles: boolean;
}

export class PiSession {
  readonly id: string;
  readonly nodeId: string;
  readonly #given: SessionContext;
  readonly #connections: Connections;
  readonly #agent: Agent;
  readonly #server: AgentServer;
  readonly #dialogs: Dialogs;
  #uplink: Uplink | null = null;
  #port: number | null = null;
  /** Why the session has no port or no uplink. */
  #problem: string | null = null;
  #isEnded = false;

  constructor(given: SessionContext) {
    const { pi, context, settings, shared, log, boundary, settles } = given;
    this.#given = given;
    this.id = context.sessionManager.getSessionId();
    this.nodeId = shared.inheritance?.nodeId ?? newNodeId();
    const deadlines = new Deadlines();
    const onFault = (error: unknown) => log.fault(error, 'connection');
    this.#connections = new Connections(deadlines, onFault);
    this.#connections.max = MAX_CONNECTIONS;
    const clock = {
      now: () => Date.now(),
      after: (delayMs: number, callback: () => void) => {
        deadlines.set(new Deadline({ onDeadline: boundary('timer', callback) }), delayMs);
      },
    };
    this.#agent = new Agent(new PiHost(pi, context, settles), clock, randomBytes(8).toString('hex'), {
      onDetails: () => this.#uplink?.update(),
      onFault: (error) => log.fault(error, 'session'),
    });
    this.#server = new AgentServer({
      connections: this.#connections,
      agent: this.#agent,
      dialKey: shared.dialKey,
      token: settings.token,
      onFault,
    });
    this.#dialogs = new Dialogs(context.ui, this.#agent, (error) => log.fault(error, 'dialog'));
    this.#dialogs.install();
    this.#showStatus();
    if (!settles) {
      const refresh = () => {
        this.#agent.refreshSession();
        clock.after(REFRESH_MS, refresh);
      };
      clock.after(REFRESH_MS, refresh);
    }
  }

  /** Listens and registers. `status` shows failures. */
  async start(): Promise<void> {
    const { settings, shared, daemon, log } = this.#given;
    try {
      this.#port = await this.#server.listen(shared.inheritance?.port ?? settings.firstPort);
    } catch (error) {
      this.#problem = `no port can be listened on: ${(error as Error).message}`;
      log.warn(this.#problem);
    }
    if (this.#isEnded) {
      this.#server.close();
      return;
    }
    if (this.#port !== null) this.#register(this.#port);
    if (settings.autostart && settings.isLocal) {
      const problem = await daemon.start();
      if (problem === null) this.#uplink?.retryNow();
      else log.warn(problem);
    }
  }

  get #details() {
    return this.#agent.details;
  }

  #register(port: number): void {
    const { settings, environment, shared, context, log } = this.#given;
    const { url, token, isLocal, reconnectMs, maxReconnectMs } = settings;
    const identity = {
      id: this.nodeId,
      machine: clip(hostName(), NODE_LIMITS.machine),
      cwd: clip(context.cwd, NODE_LIMITS.cwd),
      port,
      status: NodeStatus.ACTIVE,
      pid: process.pid,
      dialKey: shared.dialKey,
      ...(shared.spawnId === null ? {} : { spawn_id: shared.spawnId }),
    };
    try {
      this.#uplink = new Uplink(
        {
          url,
          token,
          environment,
          connections: this.#connections,
          identity,
          details: () => this.#details,
          ages: () => this.#agent.ages,
          firstDelayMs: reconnectMs,
          maxDelayMs: maxReconnectMs,
          // A daemon on this machine dials.
          dialsBack: !isLocal,
        },
        {
          onStatus: () => this.#showStatus(),
          onRegistered: ({ dialsBack, isOurs, remoteAddress, localAddress }) => {
            log.info('registered', { url, nodeId: this.nodeId });
            this.#server.admitKeyless(isOurs ? null : remoteAddress);
            if (!dialsBack && !isLocal) void this.#listenOn(localAddress, port);
          },
          onDialledBack: (connection, rest) => this.#server.serve(connection, rest),
        },
      );
      this.#uplink.start();
    } catch (error) {
      this.#problem = `HYPIVISOR_WS: ${(error as Error).message}`;
      log.warn(this.#problem);
      this.#showStatus();
    }
  }

  async #listenOn(host: string, port: number): Promise<void> {
    try {
      await this.#server.listenOn(host, port);
    } catch (error) {
      this.#given.log.warn(`cannot be reached at ${host}: ${(error as Error).message}`);
    }
  }

  event<Name extends keyof PiEvents>(name: Name, event: PiEvents[Name]): void {
    if (this.#isEnded) return;
    if (name === 'ui_prompt_start') {
      const { kind, title } = event as PiEvents['ui_prompt_start'];
      this.#dialogs.promptStarted(kind, title);
    } else {
      this.#agent.piEvent(name, event);
    }
  }

  /**
   * Ends the session, for pi's reason. Clients and the daemon get the reason. The next session of this process inherits
   * the node and the port.
   *
   * @returns a promise that resolves when the last messages are sent, or after GOODBYE_MS
   */
  async end(reason: string): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { shared } = this.#given;
    this.#dialogs.restore();
    this.#clearStatus();
    switch (reason) {
      case 'new':
      case 'resume':
      case 'fork': {
        const successor = newNodeId();
        shared.inheritance = { nodeId: successor, port: this.#port };
        this.#agent.close(AgentCloseCode.SESSION_REPLACED, successorReason(successor));
        this.#uplink?.stop({ successor });
        break;
      }
      case 'reload':
        shared.inheritance = { nodeId: this.nodeId, port: this.#port };
        this.#agent.close(AgentCloseCode.RELOADING, 'pi is reloading');
        this.#uplink?.stop({ returns: true });
        break;
      default:
        shared.inheritance = null;
        this.#agent.close(AgentCloseCode.GOING_AWAY, 'pi is quitting');
        this.#uplink?.stop({});
    }
    this.#server.close();
    await this.#connections.shutDown(GOODBYE_MS);
  }

  // The terminal

  get status(): UplinkStatus {
    return this.#uplink?.status ?? { state: 'offline', agents: null, reason: this.#problem };
  }

  get port(): number | null {
    return this.#port;
  }

  get clients(): number {
    return this.#agent.clients;
  }

  retryNow(): void {
    this.#uplink?.retryNow();
  }

  examine(): Promise<Finding[]> {
    return examine({
      settings: this.#given.settings,
      environment: this.#given.environment,
      connections: this.#connections,
      nodeId: this.nodeId,
      port: this.#port,
      status: () => this.status,
      retryNow: () => this.retryNow(),
    });
  }

  #showStatus(): void {
    if (this.#isEnded) return;
    const { context, settings } = this.#given;
    const { ui } = context;
    const paint = (color: string, text: string) => ui.theme?.fg(color, text) ?? text;
    // Over RPC no terminal shows the footer.
    const isTerminal = context.mode === undefined ? process.stdout.isTTY === true : context.mode === 'tui';
    if (!isTerminal) return;
    this.#given.boundary('footer', () => {
      ui.setStatus('hypivisor', footerText(this.status, dashboardUrl(settings.url), paint));
    })();
  }

  #clearStatus(): void {
    this.#given.boundary('footer', () => this.#given.context.ui.setStatus('hypivisor', undefined))();
  }
}

function hostName(): string {
  try {
    return os.hostname() || 'localhost';
  } catch {
    return 'localhost';
  }
}
