/**
 * Checks the steps to a working agent in their order, and stops at the first that fails: the settings, this agent's
 * port, its registration, and a message that the daemon relays to this agent.
 */
import { Opcode } from '../frame/vocabulary.ts';
import type { ConnectFailure } from '../opening/connect.ts';
import { connectTarget } from '../opening/target.ts';
import { deltaSubprotocols } from '../protocol/subprotocol.ts';
import { relayUrl } from '../protocol/url.ts';
import type { Connections } from '../transport/connections.ts';
import { openWebSocket } from '../websocket/open.ts';
import type { WebSocketHandler } from '../websocket/websocket.ts';
import type { Settings } from './settings.ts';
import type { UplinkStatus } from './uplink.ts';

const RELAY_TIMEOUT_MS = 10_000;
const REGISTER_TIMEOUT_MS = 12_000;

export interface Patient {
  readonly settings: Settings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly connections: Connections;
  readonly nodeId: string;
  /** The port of the agent's own server; null if it does not listen. */
  readonly port: number | null;
  readonly status: () => UplinkStatus;
  readonly retryNow: () => void;
}

export interface Finding {
  step: string;
  /** A description of the result, good or bad. */
  text: string;
  isGood: boolean;
  /** The advice to the user; null if the result is good. */
  advice: string | null;
}

/** @returns the results of the steps up to the first bad one */
export async function examine(patient: Patient): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const step of [checkSettings, checkServer, checkUplink, checkRelay]) {
    const finding = await step(patient);
    findings.push(finding);
    if (!finding.isGood) break;
  }
  return findings;
}

async function checkSettings({ settings, environment }: Patient): Promise<Finding> {
  const step = 'settings';
  try {
    connectTarget(settings.url, { environment });
    return good(step, `${settings.url}${settings.token === null ? '' : ', with a token'}`);
  } catch (error) {
    return bad(
      step,
      `HYPIVISOR_WS: ${(error as Error).message}`,
      'Set HYPIVISOR_WS to ws://host:31415/ws, or unset it',
    );
  }
}

async function checkServer({ port }: Patient): Promise<Finding> {
  const step = 'this agent';
  return port === null
    ? bad(step, 'no port could be listened on', 'See ~/.pi/logs/hyper-pi.jsonl')
    : good(step, `serves on port ${port} of this machine`);
}

async function checkUplink(patient: Patient): Promise<Finding> {
  const step = 'registration';
  patient.retryNow();
  const until = Date.now() + REGISTER_TIMEOUT_MS;
  while (patient.status().state !== 'online' && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (patient.status().state === 'offline' && patient.status().reason !== null) break;
  }
  const { state, reason, agents } = patient.status();
  if (state === 'online') return good(step, agents === null ? 'done' : `done: one of ${agents}`);
  return bad(step, reason ?? 'no answer', adviceFor(reason ?? '', patient.settings));
}

function adviceFor(reason: string, { isLocal, url }: Settings): string {
  if (reason.includes('token')) return 'Set HYPI_TOKEN to what the hypivisor was started with, and restart pi';
  if (reason.includes('refused') && isLocal) return 'Start it: /hypivisor start';
  if (reason.includes('name')) return `Check the name in HYPIVISOR_WS: ${url}`;
  if (reason.includes('certificate')) return 'Check the certificate, or set NODE_EXTRA_CA_CERTS to its authority';
  return `Check that a hypivisor listens at ${url}, and that no firewall stands between`;
}

async function checkRelay(patient: Patient): Promise<Finding> {
  const step = 'relay';
  const problem = await relayProblem(patient);
  if (problem === null) return good(step, 'a message went through hypivisor and came back');
  return bad(step, problem, 'hypivisor cannot reach this agent: see its log, and docs/agents.md, "Reaching an agent"');
}

/** Connects to this agent through the daemon. @returns why its first message did not come; null if it came */
async function relayProblem({ settings, environment, connections, nodeId }: Patient): Promise<string | null> {
  const target = connectTarget(relayUrl(settings.url, nodeId, null), {
    token: settings.token,
    subprotocols: deltaSubprotocols(null, null),
    environment,
  });
  let settle: (problem: string | null) => void = () => {};
  const settled = new Promise<string | null>((resolve) => {
    settle = resolve;
  });
  try {
    const handler: WebSocketHandler = {
      onMessage: (payload, opcode) => {
        if (opcode === Opcode.TEXT) settle(problemIn(payload.toString()));
      },
      onTimer: () => settle('no message came back in time'),
      onClosed: ({ closeReason }) => settle(closeReason || 'the relay was closed'),
    };
    const socket = await openWebSocket(target, connections, RELAY_LIMITS, handler, RELAY_TIMEOUT_MS);
    socket.setTimer(RELAY_TIMEOUT_MS);
    const problem = await settled;
    socket.close();
    return problem;
  } catch (failure) {
    return (failure as ConnectFailure).reason;
  }
}

const RELAY_LIMITS = {
  maxMessageBytes: 1024 * 1024,
  maxFragments: 1024,
  pingIntervalMs: 25_000,
  frameTimeoutMs: RELAY_TIMEOUT_MS,
  closingTimeoutMs: 1000,
  maxPingsPerSecond: 100,
};

/**
 * The problem in the first message of a relay, which is the agent's `init_state` or the daemon's error; null if none.
 */
function problemIn(text: string): string | null {
  try {
    const { type, error } = JSON.parse(text) as { type?: unknown; error?: unknown };
    if (type === 'init_state') return null;
    return typeof error === 'string' ? error : 'somebody else answered';
  } catch {
    return 'somebody else answered';
  }
}

function good(step: string, text: string): Finding {
  return { step, text, isGood: true, advice: null };
}

function bad(step: string, text: string, advice: string): Finding {
  return { step, text, isGood: false, advice };
}
