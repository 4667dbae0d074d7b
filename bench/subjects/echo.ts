/** Servers that send every message back. */
import type { StartableSubject } from '../scenario.ts';
import { fileOf } from './checkout.ts';
import { programAt, startNode, startServer } from './server.ts';
import { ownVersion, peerVersion } from './versions.ts';
import { YARDSTICK } from './yardstick.ts';

/** Part of the description of every scenario that compares it with the others. */
export const ECHO_SUBJECT =
  'The daemon echoes nothing: hypivisor here is a program of its modules, a session on a connection, without its keepalive.';

export const ourEcho: StartableSubject = {
  name: 'hypivisor',
  version: ownVersion,
  start: () => startServer(process.execPath, [fileOf('bench/subjects/echo-server.mjs')]),
};

export const wsEcho: StartableSubject = {
  name: 'ws',
  version: () => peerVersion('ws'),
  start: () => startNode('../peers/ws-echo.mjs', { WS_NO_BUFFER_UTIL: '1' }),
};

export const wsBufferutilEcho: StartableSubject = {
  name: 'ws + bufferutil',
  version: async () => {
    const [ws, bufferutil] = await Promise.all([peerVersion('ws'), peerVersion('bufferutil')]);
    return ws && bufferutil && (await isBufferutilNative()) ? `${ws} + ${bufferutil}` : null;
  },
  start: () => startNode('../peers/ws-echo.mjs'),
};

export const bunEcho: StartableSubject = {
  name: 'Bun',
  version: () => peerVersion('bun'),
  start: () => startServer(programAt('../peers/node_modules/.bin/bun'), [programAt('../peers/bun-echo.mjs')]),
};

/** If bufferutil has no build for this machine, it falls back to JavaScript, like ws without it. */
async function isBufferutilNative(): Promise<boolean> {
  const { default: bufferutil } = await import(
    new URL('../peers/node_modules/bufferutil/index.js', import.meta.url).href
  );
  return String(bufferutil.mask).includes('[native code]');
}

/** Of messages of up to 125 bytes. */
export const netEcho: StartableSubject = {
  ...YARDSTICK,
  start: () => startNode('../peers/net-echo.mjs'),
};
