/** Finds out whether somebody listens, and says nothing to them. */
import net from 'node:net';

/** `silent`: no answer in time. */
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
    // Every other failure, such as a machine without IPv6, means that nobody is there either.
    socket.on('error', () => settle('absent'));
  });
}
