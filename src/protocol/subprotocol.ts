/**
 * The WebSocket subprotocols that the clients of this package offer:
 *
 *     hypi.v1, hypi.delta.v1, hypi.resume.<epoch>.<seq>, hypi.token.<base64url of the token>
 *
 * The plain subprotocol goes first, because a server with the defaults of `ws` chooses the first offer. The token goes
 * last, and no server ever chooses it.
 */

/** The plain subprotocol. A server that chooses it speaks as if nothing had been offered. */
export const SUBPROTOCOL = 'hypi.v1';
/** On a relay: the agent's events are numbered and sent as deltas. */
export const DELTA_SUBPROTOCOL = 'hypi.delta.v1';
const RESUME_PREFIX = 'hypi.resume.';
/** The token follows this prefix, as base64url of its UTF-8. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'hypi.token.';

/** A client's position in an agent's events. */
export interface Position {
  /** The name of one numbering of an agent's events, in letters and digits. */
  epoch: string;
  /** The number of the last event that the client has handled. */
  seq: number;
}

/**
 * The subprotocols that a client offers on the registry.
 *
 * @param token the token as configured; null or '' for none
 */
export function subprotocols(token: string | null): string[] {
  return token ? [SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX + base64url(token)] : [SUBPROTOCOL];
}

/**
 * The subprotocols that a client with deltas offers on a relay.
 *
 * @param resumeFrom the position at which the last connection to this agent ended; null to begin with a snapshot
 */
export function deltaSubprotocols(token: string | null, resumeFrom: Position | null): string[] {
  const [plain, ...tokens] = subprotocols(token) as [string, ...string[]];
  const resume = resumeFrom === null ? [] : [`${RESUME_PREFIX}${resumeFrom.epoch}.${resumeFrom.seq}`];
  return [plain, DELTA_SUBPROTOCOL, ...resume, ...tokens];
}

/** The offer without the entries that contain a token, which must not be passed on or echoed. */
export function withoutTokens(offered: readonly string[]): string[] {
  return offered.filter((entry) => !entry.startsWith(TOKEN_SUBPROTOCOL_PREFIX));
}

/** The position that a client offers to resume from; null if it offers none, or an invalid one. */
export function readResume(offered: readonly string[]): Position | null {
  for (const entry of offered) {
    const match = /^hypi\.resume\.([A-Za-z0-9]{1,32})\.(\d{1,15})$/.exec(entry);
    if (match !== null) return { epoch: match[1] as string, seq: Number(match[2]) };
  }
  return null;
}

function base64url(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
