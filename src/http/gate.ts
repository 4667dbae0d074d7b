import { hash, timingSafeEqual } from 'node:crypto';
import { canonicalHost, isIpLiteral, isLoopbackHost } from './authority.ts';
import { HttpError } from './error.ts';
import type { RequestHead } from './message.ts';
import { type Origin, parseOrigin } from './origin.ts';
import { percentDecode, queryParameters } from './target.ts';

/**
 * Who may come in.
 *
 *     token set ──▶ authorise: the right token, in any of three places, or 401
 *     no token ───▶ admit: no Origin (a program), or a page's Origin that is trusted, or 403
 *
 * A token makes the Origin irrelevant: a hostile page does not know it. Without one, the Origin is all that tells the
 * owner's dashboard from any other page that the owner's browser has open, and a page that came through DNS rebinding
 * is told by the name it came under, which is no name of this machine.
 */

/** A browser cannot set Authorization on a WebSocket, but it can offer subprotocols. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'hypi.token.';

export interface GatePolicy {
  /** The pre-shared key; null or empty for none. */
  readonly token: string | null;
  /** Origins whose pages may connect without a token, as `scheme://host[:port]`. */
  readonly allowOrigins: readonly string[];
  /** Names, beside its own, under which this daemon is known to be reached. */
  readonly allowHosts: readonly string[];
  /** This machine's own name. */
  readonly hostName: string;
}

export interface Gate {
  /** @throws {HttpError} 401 unless no token is set or the right one came. */
  authorise(head: RequestHead): void;
  /** For upgrades. @throws {HttpError} 403 where a page may not connect, saying what would let it. */
  admit(head: RequestHead): void;
}

export function createGate(policy: GatePolicy): Gate {
  // An empty token is one that everybody knows: it guards nothing, so it must not switch the Origin check off either.
  const token = policy.token === null || policy.token === '' ? null : Buffer.from(policy.token);
  const isToken = token === null ? null : secret(token);
  const isTokenSubprotocol = token === null ? null : secret(Buffer.from(token.toString('base64url')));

  const allowedOrigins = new Set(policy.allowOrigins.map((origin) => parseOrigin(origin)?.serialized));
  const ownHosts = new Set([policy.hostName, ...policy.allowHosts].map(canonicalHost));

  return {
    authorise(head) {
      if (isToken === null || isTokenSubprotocol === null) return;
      const parameter = single(queryParameters(head.query, 'token'));
      if (parameter !== null) {
        if (isToken(latin1(parameter))) return;
        const decoded = percentDecode(parameter);
        if (decoded !== null && isToken(decoded)) return;
      }
      const bearer = bearerOf(head);
      if (bearer !== null && isToken(latin1(bearer))) return;
      const offered = single(head.fields.list('sec-websocket-protocol').filter(isTokenEntry));
      if (offered !== null && isTokenSubprotocol(latin1(offered.slice(TOKEN_SUBPROTOCOL_PREFIX.length)))) return;
      throw new HttpError(401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' });
    },

    admit(head) {
      const values = head.fields.all('origin');
      if (token !== null || values.length === 0) return;
      const value = single(values);
      const origin = value === null ? null : parseOrigin(value);
      if (origin === null)
        throw new HttpError(403, 'A page of this origin may connect only with a token: set HYPI_TOKEN');
      if (isLoopbackHost(origin.host) || allowedOrigins.has(origin.serialized)) return;
      if (origin.host !== hostOf(head)) throw new HttpError(403, refusal(origin, '--allow-origin', origin.serialized));
      if (isIpLiteral(origin.host) || ownHosts.has(origin.host)) return;
      throw new HttpError(403, refusal(origin, '--allow-host', origin.host));
    },
  };
}

/** The subprotocols without those that carry a token: they are passed to nobody, and echoed to nobody. */
export function withoutTokens(subprotocols: readonly string[]): string[] {
  return subprotocols.filter((subprotocol) => !isTokenEntry(subprotocol));
}

function isTokenEntry(subprotocol: string): boolean {
  return subprotocol.startsWith(TOKEN_SUBPROTOCOL_PREFIX);
}

/**
 * A check of candidates against a secret, in a time that tells nothing: hashed, all are of one length (which
 * `timingSafeEqual` demands), and how many bytes of two hashes agree says nothing about what was hashed.
 */
function secret(bytes: Buffer): (candidate: Buffer) => boolean {
  const digest = hash('sha256', bytes, 'buffer');
  return (candidate) => timingSafeEqual(digest, hash('sha256', candidate, 'buffer'));
}

/** `credentials = auth-scheme [ 1*SP … ]` (RFC 9110, section 11.4); the scheme in any case. */
function bearerOf(head: RequestHead): string | null {
  const credentials = single(head.fields.all('authorization'));
  const match = credentials === null ? null : /^bearer +/i.exec(credentials);
  return credentials === null || match === null ? null : credentials.slice(match[0].length);
}

function hostOf(head: RequestHead): string | null {
  return head.host === null ? null : canonicalHost(head.host);
}

/** The only one, or null: what came twice is wrong, whichever of them is right. */
function single(values: readonly string[]): string | null {
  const [value, ...others] = values;
  return value === undefined || others.length > 0 ? null : value;
}

/** Repeats an origin only where it is short, and can harm nobody who pastes it into a shell. */
function refusal(origin: Origin, flag: string, argument: string): string {
  const harmless = /^[\w.:/[\]-]{1,199}$/.test(origin.serialized);
  const [shown, value] = harmless ? [`Origin ${origin.serialized}`, argument] : ['This origin', '…'];
  return `${shown} is not allowed: start hypivisor with ${flag} ${value}, or set HYPI_TOKEN`;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
