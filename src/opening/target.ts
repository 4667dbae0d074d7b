/** A URL, as people write it → the parameters of `connect`. Pure. */
import type { ConnectTarget, HttpProxy } from './connect.ts';
import { proxyFor } from './proxy-environment.ts';

export interface TargetOptions {
  /** Presented as `Authorization: Bearer`; null or '' for none. */
  readonly token?: string | null;
  /** The offered subprotocols, in this order. Default none. */
  readonly subprotocols?: readonly string[];
  /** Certificates in PEM to trust instead of those that Node trusts. */
  readonly ca?: string | readonly string[];
  /** The variables that may name a proxy: see `proxyFor`. Default none. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * The parameters for a URL.
 *
 * @param url a `ws:` or `wss:` URL; its fragment is dropped
 * @throws TypeError, with a sentence for the user, if this URL or the proxy's cannot be used
 */
export function connectTarget(url: string, options: TargetOptions = {}): ConnectTarget {
  const { token = null, subprotocols = [], ca, environment = {} } = options;
  if (!URL.canParse(url)) throw new TypeError('not a URL: it should look like ws://host:port/ws');
  const { protocol, hostname, port: portText, pathname, search } = new URL(url);
  if (protocol !== 'ws:' && protocol !== 'wss:') throw new TypeError(`cannot connect to a URL with ${protocol}`);
  const secure = protocol === 'wss:';
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const port = portText === '' ? (secure ? 443 : 80) : Number(portText);
  const proxy: HttpProxy | null = secure ? proxyFor(host, port, environment) : null;
  return {
    host,
    port,
    tls: secure ? (ca === undefined ? {} : { ca }) : null,
    proxy,
    request: {
      host,
      // "when not using the default port" (RFC 6455, section 4.1): some servers compare the whole field with their
      // names.
      port: portText === '' ? null : port,
      path: `${pathname}${search}`,
      bearer: token === null || token === '' ? null : bearerOf(token),
      subprotocols,
      extensions: null,
    },
  };
}

/** The token's UTF-8, with a character for each byte, because fields are bytes. */
function bearerOf(token: string): string {
  return Buffer.from(token).toString('latin1');
}
