/** Servers that send one client's message to all clients. */

import { REGISTRY_PATH } from '../../src/protocol/registry.ts';
import type { DriverForm } from '../load/driver.ts';
import type { StartableSubject } from '../scenario.ts';
import { startHypivisor } from './hypivisor.ts';
import { programAt, startNode, startServer } from './server.ts';
import { ownVersion, peerVersion } from './versions.ts';
import { YARDSTICK } from './yardstick.ts';

export interface BroadcastSubject extends StartableSubject {
  /** The path that the driver connects to, and its message for one event. */
  readonly driver: { path: string; form: DriverForm };
}

const PUBLISHER = { path: '/publish', form: 'push' } as const;

export const ourBroadcast: BroadcastSubject = {
  name: 'hypivisor',
  version: ownVersion,
  driver: { path: REGISTRY_PATH, form: 'register' },
  start: startHypivisor,
};

export const wsBroadcast: BroadcastSubject = {
  name: 'ws',
  version: () => peerVersion('ws'),
  driver: PUBLISHER,
  start: () => startNode('../peers/ws-broadcast.mjs', { WS_NO_BUFFER_UTIL: '1' }),
};

export const bunBroadcast: BroadcastSubject = {
  name: 'Bun',
  version: () => peerVersion('bun'),
  driver: PUBLISHER,
  start: () => startServer(programAt('../peers/node_modules/.bin/bun'), [programAt('../peers/bun-broadcast.mjs')]),
};

export const netBroadcast: BroadcastSubject = {
  ...YARDSTICK,
  driver: { path: '/publish', form: 'frame' },
  start: () => startNode('../peers/net-broadcast.mjs'),
};
