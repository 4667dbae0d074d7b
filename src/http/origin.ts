import { canonicalHost, parseAuthority } from './authority.ts';

/** Where a page came from (RFC 6454). */
export interface Origin {
  /** Canonical: two origins are the same if this is. */
  readonly serialized: string;
  /** Canonical host name. */
  readonly host: string;
}

const ORIGIN = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]+)\/?$/;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/**
 * Reads `scheme "://" host [ ":" port ]`, and a slash behind it, which some clients and people add. Null for everything
 * else: `null` (a sandboxed frame, so anybody), `file://`, several origins, a path behind it.
 */
export function parseOrigin(text: string): Origin | null {
  const match = ORIGIN.exec(text);
  if (match === null) return null;
  const [scheme = '', authorityText = ''] = match.slice(1);
  const authority = parseAuthority(authorityText);
  const host = canonicalHost(authorityText);
  if (authority === null || host === null) return null;
  const normalizedScheme = scheme.toLowerCase();
  const isDefaultPort = authority.port === null || authority.port === DEFAULT_PORTS[normalizedScheme];
  return { serialized: `${normalizedScheme}://${host}${isDefaultPort ? '' : `:${authority.port}`}`, host };
}
