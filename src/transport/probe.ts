/** Checks whether a program listens on a port, without sending it anything. */
import net from 'node:net';

/** `silent` means that no answer came in time. */
export type Presence = 'there' | 'absent' | 'silent';

/** @param host an IP address, or a name that the system looks up */
export async function probe(host: string, port: number, timeoutMs: number): Promise<Presence> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const settle = (presence: Presence) => {
      socket.destroy();
      resolve(presence);
    };
    socket.setTimeout(timeoutMs, () => settle('silent'));
    socket.on('connect', () => settle('there'));
    // Other failures, such as a machine without IPv6, mean that no program listens either.
    socket.on('error', () => settle('absent'));
  });
}
