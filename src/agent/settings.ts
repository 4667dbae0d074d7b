/** The environment → the extension's settings. Pure. */
import { Environment } from '../protocol/environment.ts';
import { DEFAULT_PORT } from '../protocol/registry.ts';
import { registryUrl } from '../protocol/url.ts';

const DEFAULT_FIRST_PORT = 8080;
const DEFAULT_RECONNECT_MS = 5000;
const MAX_RECONNECT_MS = 300_000;
/** The longest pause, in first pauses: five minutes with the default. */
const RECONNECT_GROWTH = 60;
/**
 * The longest pause for a daemon on this machine. An attempt costs almost nothing there, and the daemon is back soon.
 */
const MAX_LOCAL_RECONNECT_MS = 30_000;

export interface Settings {
  readonly isOn: boolean;
  /** The registry's URL. */
  readonly url: string;
  /** Whether the daemon is on this machine. */
  readonly isLocal: boolean;
  readonly token: string | null;
  /** Whether the extension may start the daemon. It may not if HYPIVISOR_WS says where the daemon is. */
  readonly autostart: boolean;
  readonly firstPort: number;
  readonly reconnectMs: number;
  readonly maxReconnectMs: number;
  readonly spawnId: string | null;
}

export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const value = (name: string) => environment[name]?.trim() || null;
  const named = value(Environment.HYPIVISOR_WS);
  const url = named ?? registryUrl(`http://localhost:${DEFAULT_PORT}`, null);
  const isLocal = isLoopback(url);
  const reconnectMs = whole(value(Environment.PI_SOCKET_RECONNECT_MS), 1, MAX_RECONNECT_MS) ?? DEFAULT_RECONNECT_MS;
  return {
    isOn: value(Environment.HYPIVISOR) !== '0',
    url,
    isLocal,
    token: environment[Environment.HYPI_TOKEN] || null,
    autostart: named === null && value(Environment.HYPIVISOR_AUTOSTART) !== '0',
    firstPort: whole(value(Environment.PI_SOCKET_PORT), 1, 65_535) ?? DEFAULT_FIRST_PORT,
    reconnectMs,
    maxReconnectMs: Math.max(
      reconnectMs,
      Math.min(reconnectMs * RECONNECT_GROWTH, isLocal ? MAX_LOCAL_RECONNECT_MS : MAX_RECONNECT_MS),
    ),
    spawnId: value(Environment.HYPI_SPAWN_ID),
  };
}

/** The URL of the page beside a registry; null if the registry's URL is invalid. */
export function dashboardUrl(registry: string): string | null {
  if (!URL.canParse(registry)) return null;
  const { protocol, host, pathname } = new URL(registry);
  if (protocol !== 'ws:' && protocol !== 'wss:') return null;
  return `${protocol === 'wss:' ? 'https:' : 'http:'}//${host}${pathname.replace(/\/?(?:ws\/?)?$/, '/')}`;
}

function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return (
    hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || hostname.startsWith('127.')
  );
}

function whole(text: string | null, min: number, max: number): number | null {
  if (text === null || !/^\d{1,9}$/.test(text)) return null;
  const value = Number(text);
  return value >= min && value <= max ? value : null;
}
