/**
 * IP addresses as the relay needs them: one spelling for each, and which of them are this machine.
 */
import net from 'node:net';
import os from 'node:os';

/**
 * The address in one spelling: IPv4-mapped IPv6 as the IPv4 it is, IPv6 compressed and in lower case, no brackets; any
 * other text as it stands.
 */
export function canonicalAddress(text: string): string {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!net.isIPv6(bare)) return bare;
  const [address = '', zone] = bare.split('%');
  const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(compressed);
  if (mapped !== null) {
    const [, high = '', low = ''] = mapped;
    const value = Number.parseInt(high, 16) * 2 ** 16 + Number.parseInt(low, 16);
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
  }
  return zone === undefined ? compressed : `${compressed}%${zone}`;
}

/** Of a canonical address. Connecting to the unspecified address reaches this machine, so it counts as loopback. */
export function isLoopback(address: string): boolean {
  if (address === '::1' || address === '::' || address === '0.0.0.0') return true;
  return net.isIPv4(address) && address.startsWith('127.');
}

/** The canonical addresses of this machine's interfaces, at this moment. */
export function ownAddresses(): Set<string> {
  const addresses = new Set<string>();
  for (const infos of Object.values(os.networkInterfaces())) {
    for (const info of infos ?? []) {
      addresses.add(canonicalAddress(info.address));
      // The same link-local address can be given with the zone it is known by.
      if (info.family === 'IPv6' && info.scopeid) addresses.add(canonicalAddress(`${info.address}%${info.scopeid}`));
    }
  }
  return addresses;
}
