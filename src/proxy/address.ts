/**
 * IP addresses for the relay: one spelling for each, and whether it is this machine's.
 */
import { isIPv4, isIPv6 } from 'node:net';
import os from 'node:os';

/**
 * The address in its canonical spelling: IPv4-mapped IPv6 as IPv4, IPv6 compressed and in lower case, no brackets, and
 * a zone only on a link-local address, which is the only kind that needs one. Any other text is returned unchanged.
 */
export function canonicalAddress(text: string): string {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!isIp6(bare)) return bare;
  const [address = '', zone] = bare.split('%');
  const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(compressed);
  if (mapped !== null) {
    const [, high = '', low = ''] = mapped;
    const value = Number.parseInt(high, 16) * 2 ** 16 + Number.parseInt(low, 16);
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
  }
  return zone !== undefined && isLinkLocal(compressed) ? `${compressed}%${zone}` : compressed;
}

export function isIp(text: string): boolean {
  return isIPv4(text) || isIp6(text);
}

/** Whether a canonical address is loopback. The unspecified address counts too, because it connects to this machine. */
export function isLoopback(address: string): boolean {
  if (address === '127.0.0.1' || address === '::1' || address === '::' || address === '0.0.0.0') return true;
  return address.startsWith('127.') && isIPv4(address);
}

/** The canonical addresses of this machine's interfaces now; none if the system does not report them. */
export function ownAddresses(): Set<string> {
  const addresses = new Set<string>();
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    for (const info of infos) {
      const address = canonicalAddress(info.address);
      addresses.add(address);
      if (info.family !== 'IPv6' || !isLinkLocal(address)) continue;
      // A zone is the interface's name or its number (RFC 4007, section 11.2).
      addresses.add(`${address}%${name}`).add(`${address}%${info.scopeid}`);
    }
  }
  return addresses;
}

/**
 * The interfaces. Node asks over netlink and throws if a sandbox denies that (systemd's RestrictAddressFamilies,
 * Android).
 */
function networkInterfaces(): ReturnType<typeof os.networkInterfaces> {
  try {
    return os.networkInterfaces();
  } catch {
    return {};
  }
}

/**
 * Whether the text is an IPv6 address. Most texts have no colon, which is faster to check than the long pattern for
 * IPv6.
 */
function isIp6(text: string): boolean {
  return text.includes(':') && isIPv6(text);
}

/** Whether a canonical address is link-local: fe80::/10 (RFC 4291, section 2.5.6). */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}
