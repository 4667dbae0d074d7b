import { canonicalHost, parseAuthority } from './authority.ts';

/** The origin of a page (RFC 6454). */
export interface Origin {
  /** The canonical form. Two origins are the same if these are equal. */
  readonly serialized: string;
  /** Canonical host name. */
  readonly host: string;
}

const ORIGIN = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]+)\/?$/;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/**
 * Parses `scheme "://" host [ ":" port ]`. A slash may follow, which some clients and people add. Returns null for
 * anything else: `null` (a sandboxed frame of any site), `file://`, several origins, an origin with a path.
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
