/**
 * Builds every WebSocket URL, and encodes the token, for the extension and the dashboard alike.
 *
 * Clients find the daemon where the page came from (`location.href`) or where `HYPIVISOR_WS` points, never at a fixed
 * host name: a page that was served from another machine must come back to that machine.
 */

/**
 * The registry's URL.
 *
 * @param daemon the page's address (`http://host:port/…`, also below a path of a reverse proxy) or the registry's own
 *   (`ws://host:port/ws`); a query or fragment in it is dropped
 * @param token as it was configured, not encoded; null or '' for none
 * @throws TypeError if `daemon` is no http, https, ws or wss URL
 */
export function registryUrl(daemon: string, token: string | null): string {
  return withToken(registryBase(daemon), token);
}

/**
 * The URL of the relay to an agent.
 *
 * @param nodeId any text, percent-encoded here; but URL parsers take `.` and `..` for folders, however encoded
 * @throws TypeError as `registryUrl`
 */
export function relayUrl(daemon: string, nodeId: string, token: string | null): string {
  return withToken(`${registryBase(daemon)}/agent/${encodeURIComponent(nodeId)}`, token);
}

/**
 * The URL that an agent opens when the daemon asks for a connection back.
 *
 * @param ticket as the daemon sent it; it stands in for the token
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
      // The registry stands beside the page.
      return `${url.protocol === 'https:' ? 'wss:' : 'ws:'}//${url.host}${new URL('ws', url).pathname}`;
    default:
      throw new TypeError(`cannot reach a hypivisor over ${url.protocol}`);
  }
}
