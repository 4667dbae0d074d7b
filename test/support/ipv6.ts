import { networkInterfaces } from 'node:os';

/** Has this machine an IPv6 loopback address? */
export const HAS_IPV6 = Object.values(networkInterfaces()).some((infos) =>
  infos?.some(({ address }) => address === '::1'),
);
