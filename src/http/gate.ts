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

export interface GatePolicy {
  /** The pre-shared key; null or empty for none. */
  readonly token: string | null;
  /**
   * A browser cannot set Authorization on a WebSocket, but it can offer subprotocols: one that begins so goes on with the
   * token, as base64url of its UTF-8.
   */
  readonly tokenSubprotocolPrefix: string;
  /** Origins whose pages may connect without a token, as `scheme://host[:port]`. */
  readonly allowOrigins: readonly string[];
  /** Names, beside its own, under which this daemon is known to be reached. */
  readonly allowHosts: readonly string[];
  /** This machine's own name. */
  readonly hostName: string;
  /** What a page is told that may not connect, in one sentence. */
  readonly explain: (refusal: OriginRefusal) => string;
}

/** Why a page may not connect. */
export type OriginRefusal =
  /** It has no origin that could be allowed: it is opaque, malformed, or more than one. */
  | { readonly reason: 'no-origin' }
  /** It is another site's. */
  | { readonly reason: 'foreign-origin'; readonly origin: Origin }
  /** It came by a name that is none of this machine's, as after DNS rebinding. */
  | { readonly reason: 'foreign-host'; readonly origin: Origin };

export interface Gate {
  /** @throws {HttpError} 401 unless no token is set or the right one came. */
  authorise(head: RequestHead): void;
  /** For upgrades. @throws {HttpError} 403 if a page may not connect. */
  admit(head: RequestHead): void;
}

export function createGate(policy: GatePolicy): Gate {
  // An empty token is one that everybody knows: it guards nothing, so it must not switch the Origin check off either.
  const token = policy.token === null || policy.token === '' ? null : Buffer.from(policy.token);
  const isToken = token === null ? null : secret(token);
  const isTokenSubprotocol = token === null ? null : secret(Buffer.from(token.toString('base64url')));

  const { tokenSubprotocolPrefix } = policy;
  const isTokenEntry = (subprotocol: string) => subprotocol.startsWith(tokenSubprotocolPrefix);
  const refusal = (why: OriginRefusal) => new HttpError(403, policy.explain(why));
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
      if (offered !== null && isTokenSubprotocol(latin1(offered.slice(tokenSubprotocolPrefix.length)))) return;
      throw new HttpError(401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' });
    },

    admit(head) {
      const values = head.fields.all('origin');
      if (token !== null || values.length === 0) return;
      const value = single(values);
      const origin = value === null ? null : parseOrigin(value);
      if (origin === null) throw refusal({ reason: 'no-origin' });
      if (isLoopbackHost(origin.host) || allowedOrigins.has(origin.serialized)) return;
      if (origin.host !== hostOf(head)) throw refusal({ reason: 'foreign-origin', origin });
      if (isIpLiteral(origin.host) || ownHosts.has(origin.host)) return;
      throw refusal({ reason: 'foreign-host', origin });
    },
  };
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

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
