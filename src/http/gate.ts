import { hash, timingSafeEqual } from 'node:crypto';
import { canonicalHost, isIpLiteral, isLoopbackHost } from './authority.ts';
import { HttpError } from './error.ts';
import type { RequestHead } from './message.ts';
import { type Origin, parseOrigin } from './origin.ts';
import { percentDecode, queryParameters } from './target.ts';

/**
 * The gate decides which requests are let in.
 *
 *     with a token ─────▶ authorise: the right token, in any of three places, or 401
 *     without a token ──▶ admit: no Origin (a program), or the Origin of a trusted page, or 403
 *
 * With a token the Origin does not matter, because a hostile page does not know the token. Without one, only the Origin
 * distinguishes the owner's dashboard from any other page that is open in the owner's browser. A page that was loaded
 * by DNS rebinding gives itself away by the host name that it was loaded from, which is none of this machine's.
 */

export interface GatePolicy {
  /** The pre-shared key; null or empty for none. */
  readonly token: string | null;
  /**
   * A browser cannot set Authorization on a WebSocket, but it can offer subprotocols. This prefix is followed by the
   * token, as base64url of its UTF-8.
   */
  readonly tokenSubprotocolPrefix: string;
  /** Origins whose pages may connect without a token, as `scheme://host[:port]`. */
  readonly allowOrigins: readonly string[];
  /** Host names, in addition to this machine's own, by which browsers may reach it. */
  readonly allowHosts: readonly string[];
  /** This machine's own name. */
  readonly hostName: string;
  /** Returns the sentence for a refused page. */
  readonly explain: (refusal: OriginRefusal) => string;
}

/** Why a page was refused. */
export type OriginRefusal =
  /** Its Origin is opaque or malformed, or it has more than one, so it cannot be allowed. */
  | { readonly reason: 'no-origin' }
  /** It belongs to another site. */
  | { readonly reason: 'foreign-origin'; readonly origin: Origin }
  /** It was loaded from a host name that is none of this machine's, as after DNS rebinding. */
  | { readonly reason: 'foreign-host'; readonly origin: Origin };

export interface Gate {
  /** @throws {HttpError} 401 if a token is set and the request does not carry it. */
  authorise(head: RequestHead): void;
  /** For upgrades. @throws {HttpError} 403 if a page may not connect. */
  admit(head: RequestHead): void;
}

export function createGate(policy: GatePolicy): Gate {
  // Anyone can guess an empty token, so it must not turn the Origin check off.
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
 * Makes a check for candidates whose duration reveals nothing about the secret. Both sides are hashed: hashes have one
 * length, as `timingSafeEqual` demands, and the number of bytes in which two hashes agree reveals nothing of their
 * inputs.
 */
function secret(bytes: Buffer): (candidate: Buffer) => boolean {
  const digest = hash('sha256', bytes, 'buffer');
  return (candidate) => timingSafeEqual(digest, hash('sha256', candidate, 'buffer'));
}

/** `credentials = auth-scheme [ 1*SP … ]` (RFC 9110, section 11.4). The scheme is case-insensitive. */
function bearerOf(head: RequestHead): string | null {
  const credentials = single(head.fields.all('authorization'));
  const match = credentials === null ? null : /^bearer +/i.exec(credentials);
  return credentials === null || match === null ? null : credentials.slice(match[0].length);
}

function hostOf(head: RequestHead): string | null {
  return head.host === null ? null : canonicalHost(head.host);
}

/** The only value, or null. Two values are wrong, even if one of them is right. */
function single(values: readonly string[]): string | null {
  const [value, ...others] = values;
  return value === undefined || others.length > 0 ? null : value;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
