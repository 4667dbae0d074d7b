/** TLS over an open connection, as the client, with Node's own implementation. */
import net from 'node:net';
import { type Connection, SOCKET_OPTIONS } from './connection.ts';

export interface TlsOptions {
  /** Certificates in PEM to trust instead of those that Node trusts. */
  readonly ca?: string | readonly string[];
}

/**
 * Sends everything from now on through TLS. Any error, including a certificate's, ends the connection, with the error's
 * name in `errorCode`.
 *
 * @param host the name or IP address that the certificate must contain
 * @param onSecured called once, if the handshake succeeds
 */
export async function secure(
  connection: Connection,
  host: string,
  { ca }: TlsOptions,
  onSecured: () => void,
): Promise<void> {
  // The module is loaded when first needed, because it would slow down every start by some milliseconds.
  const { connect } = await import('node:tls');
  if (connection.gone) return;
  connection.replaceSocket((socket) => {
    const secured = connect({
      ...SOCKET_OPTIONS,
      socket,
      host,
      // "Literal IPv4 and IPv6 addresses are not permitted" for a server name (RFC 6066, section 3).
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ['http/1.1'],
      ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }),
    });
    secured.once('secureConnect', onSecured);
    return secured;
  });
}
