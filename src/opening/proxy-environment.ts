/**
 * Finds the proxy in the environment for a connection under TLS. Pure.
 *
 *   https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY   the first that is set: [http://][user:password@]host[:port]
 *   no_proxy, NO_PROXY                               the first that is set: hosts to reach directly, see `isExempt`
 *
 * This machine is never reached through a proxy. A plain `ws:` connection uses none: it is for the user's own network,
 * and proxies refuse such ports.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { canonicalHost, isIpLiteral, isLoopbackHost } from '../http/authority.ts';
import type { HttpProxy } from './connect.ts';

const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
const NO_PROXY_VARIABLES = ['no_proxy', 'NO_PROXY'];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a host.
 *
 * @param host a name or an IP address, IPv6 without brackets
 * @returns the proxy; null to connect directly
 * @throws TypeError if the variable names no HTTP proxy; the message does not contain the value, which may hold a
 *   password
 */
export function proxyFor(host: string, port: number, environment: Environment): HttpProxy | null {
  const variable = PROXY_VARIABLES.find((name) => environment[name]);
  if (variable === undefined) return null;
  const canonical = canonicalHost(host.includes(':') ? `[${host}]` : host);
  if (canonical === null || isLoopbackHost(canonical)) return null;
  const exemptions = NO_PROXY_VARIABLES.map((name) => environment[name]).find(Boolean) ?? '';
  if (isExempt(canonical, port, exemptions)) return null;
  return parseProxy(environment[variable] as string, variable);
}

/**
 * Whether a host needs no proxy. Commas or white space separate the elements. An element is `*` for every host; a name,
 * which includes all names below it (a leading `.` or `*.` changes nothing); an IP address; or a block of addresses
 * (`10.0.0.0/8`). A name or an address with `:port` counts only for that port, and an IPv6 address needs its brackets
 * then.
 */
function isExempt(host: string, port: number, exemptions: string): boolean {
  return exemptions
    .split(/[\s,]+/)
    .filter((element) => element !== '')
    .some((element) => element === '*' || matches(element.toLowerCase(), host, port));
}

function matches(element: string, host: string, port: number): boolean {
  if (element.includes('/')) return isIpLiteral(host) && isInBlock(element, bare(host));
  const { name, ofPort } = splitPort(element);
  if (ofPort !== null && ofPort !== port) return false;
  const pattern = canonicalHost(name.replace(/^\*?\./, ''));
  if (pattern === null) return false;
  return host === pattern || (!isIpLiteral(host) && host.endsWith(`.${pattern}`));
}

function splitPort(element: string): { name: string; ofPort: number | null } {
  if (isIPv6(element)) return { name: `[${element}]`, ofPort: null };
  const match = /^(.*):(\d{1,5})$/.exec(element);
  return match === null ? { name: element, ofPort: null } : { name: match[1] as string, ofPort: Number(match[2]) };
}

function isInBlock(block: string, address: string): boolean {
  const [network = '', bits = ''] = block.split('/');
  const family = isIP(network);
  const prefix = Number(bits);
  if (family === 0 || family !== isIP(address) || !/^\d{1,3}$/.test(bits)) return false;
  if (prefix > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const blocks = new BlockList();
  blocks.addSubnet(network, prefix, type);
  return blocks.check(address, type);
}

function parseProxy(text: string, variable: string): HttpProxy {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url)) throw new TypeError(`${variable} is no URL of a proxy`);
  const { protocol, hostname, port, username, password } = new URL(url);
  if (protocol !== 'http:')
    throw new TypeError(`${variable} names a proxy with ${protocol}, and only http: is known here`);
  if (hostname === '') throw new TypeError(`${variable} is no URL of a proxy`);
  return {
    host: bare(hostname),
    port: port === '' ? 80 : Number(port),
    authorization: credentials(username, password),
  };
}

/** The user id and password as Basic credentials (RFC 7617, section 2). A URL contains them percent-encoded. */
function credentials(username: string, password: string): string | null {
  if (username === '' && password === '') return null;
  const decoded = `${decode(username)}:${decode(password)}`;
  return `Basic ${Buffer.from(decoded).toString('base64')}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
