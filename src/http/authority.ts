/**
 * Authorities: the host name, and perhaps the port, that a request is for or that a page came from.
 *
 * Host names are compared in the form that browsers use, because the gate judges browsers: lower case, IPv4 as four
 * decimal numbers, IPv6 compressed and in brackets, IDNA applied.
 */

/** `uri-host [ ":" port ]` (RFC 3986, section 3.2), with a name that is not empty, and without IPvFuture. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::(\d{0,5}))?$/;

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const EMPTY_LABEL = /^\.|\.\.|\.$|^$/;
const IPV4_MAPPED = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;

export interface Authority {
  /** As it was written. An IPv6 address keeps its brackets. */
  readonly host: string;
  /** Null if none was given. */
  readonly port: number | null;
}

/** Reads `host`, `host:port` or `[address]:port`. Returns null for anything else. */
export function parseAuthority(text: string): Authority | null {
  const match = AUTHORITY.exec(text);
  const host = match?.[1];
  if (host === undefined) return null;
  if (host.startsWith('[') && !URL.canParse(`http://${host}`)) return null;
  const port = match?.[2] ? Number(match[2]) : null;
  if (port !== null && port > 65_535) return null;
  return { host, port };
}

/**
 * The host of an authority, in the form in which hosts are compared. A trailing dot is removed, and an IPv4-mapped
 * address becomes the IPv4 address that it reaches. Returns null for a host that no browser can visit, such as
 * `1.2.3.4.5` or `a..b`.
 */
export function canonicalHost(authority: string): string | null {
  const url = `http://${authority}`;
  // The grammar is checked first because the URL parser is lenient: it drops tabs and line ends, and accepts a path.
  if (parseAuthority(authority) === null || !URL.canParse(url)) return null;
  const { hostname } = new URL(url);
  const mapped = IPV4_MAPPED.exec(hostname);
  if (mapped === null) {
    const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
    return EMPTY_LABEL.test(name) ? null : name;
  }
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** @param host canonical. */
export function isIpLiteral(host: string): boolean {
  return host.startsWith('[') || IPV4.test(host);
}

/**
 * Whether the name always means the machine that uses it: 127.0.0.0/8, ::1, and localhost with everything under it
 * (RFC 6761, section 6.3). `127.0.0.1.evil.example` is an ordinary name that anybody can own.
 *
 * @param host canonical.
 */
export function isLoopbackHost(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    (host.startsWith('127.') && IPV4.test(host))
  );
}
