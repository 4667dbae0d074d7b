/**
 * Builds every WebSocket URL for the daemon, the extension and the dashboard, and encodes the token.
 *
 * Clients derive the daemon's address from the address of the page (`location.href`) or from `HYPIVISOR_WS`, never from
 * a fixed host name: a page that was served by another machine must connect to that machine.
 */

/**
 * The registry's URL.
 *
 * @param daemon the page's address (`http://host:port/…`, also below a path of a reverse proxy) or the registry's own
 *   (`ws://host:port/ws`); its query and fragment are dropped
 * @param token the token as configured, not encoded; null or '' for none
 * @throws TypeError if `daemon` is no http, https, ws or wss URL
 */
export function registryUrl(daemon: string, token: string | null): string {
  return withToken(registryBase(daemon), token);
}

/**
 * The URL of the relay to an agent.
 *
 * @param nodeId any text; it is percent-encoded here. URL parsers treat `.` and `..` as folders even if encoded
 * @throws TypeError as `registryUrl`
 */
export function relayUrl(daemon: string, nodeId: string, token: string | null): string {
  return withToken(`${registryBase(daemon)}/agent/${encodeURIComponent(nodeId)}`, token);
}

/**
 * The URL that an agent opens when the daemon asks for a connection back.
 *
 * @param ticket the ticket that the daemon sent; no token is needed beside it
 * @throws TypeError as `registryUrl`
 */
export function backUrl(daemon: string, ticket: string): string {
  return `${registryBase(daemon)}/back/${encodeURIComponent(ticket)}`;
}

function withToken(url: string, token: string | null): string {
  return token ? `${url}?token=${encodeURIComponent(token)}` : url;
}

/** `ws(s)://host[:port]/…/ws` */
function registryBase(daemon: string): string {
  const url = new URL(daemon);
  switch (url.protocol) {
    case 'ws:':
    case 'wss:':
      return `${url.protocol}//${url.host}${url.pathname === '/' ? '/ws' : url.pathname.replace(/\/$/, '')}`;
    case 'http:':
    case 'https:':
      // The registry has the same base path as the page.
      return `${url.protocol === 'https:' ? 'wss:' : 'ws:'}//${url.host}${new URL('ws', url).pathname}`;
    default:
      throw new TypeError(`cannot reach a hypivisor over ${url.protocol}`);
  }
}
