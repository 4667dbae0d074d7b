/**
 * What clients of ours offer as WebSocket subprotocols:
 *
 *     hypi.v1, hypi.delta.v1, hypi.resume.<epoch>.<seq>, hypi.token.<base64url of the token>
 *
 * The plain one goes first, since a server with the defaults of `ws` picks the first it is offered. The token goes last,
 * and no server ever answers with it.
 */

/** The plain one: whoever chooses it speaks as if nothing had been offered. */
export const SUBPROTOCOL = 'hypi.v1';
/** On a relay: the agent's events as deltas, numbered. */
export const DELTA_SUBPROTOCOL = 'hypi.delta.v1';
const RESUME_PREFIX = 'hypi.resume.';
/** Behind it stands the token, as base64url of its UTF-8. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'hypi.token.';

/** How far a client has come with an agent's events. */
export interface Position {
  /** Names one numbering of an agent's events; letters and digits. */
  epoch: string;
  /** The number of the last event handled. */
  seq: number;
}

/**
 * What a client offers on the registry.
 *
 * @param token as it was configured; null or '' for none
 */
export function subprotocols(token: string | null): string[] {
  return token ? [SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX + base64url(token)] : [SUBPROTOCOL];
}

/**
 * What a client offers on a relay if it understands deltas.
 *
 * @param resumeFrom where its last connection to this agent ended; null to begin with a snapshot
 */
export function deltaSubprotocols(token: string | null, resumeFrom: Position | null): string[] {
  const [plain, ...tokens] = subprotocols(token) as [string, ...string[]];
  const resume = resumeFrom === null ? [] : [`${RESUME_PREFIX}${resumeFrom.epoch}.${resumeFrom.seq}`];
  return [plain, DELTA_SUBPROTOCOL, ...resume, ...tokens];
}

/** The offer without the entries that carry a token: they are passed to nobody, and echoed to nobody. */
export function withoutTokens(offered: readonly string[]): string[] {
  return offered.filter((entry) => !entry.startsWith(TOKEN_SUBPROTOCOL_PREFIX));
}

/** The position that a client offers to resume from; null if it offers none, or one that makes no sense. */
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
