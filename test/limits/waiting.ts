/** Peers that keep the other side waiting, and how long that is suffered. What is asked here is asked of other servers too. */
import { setTimeout as delay } from 'node:timers/promises';
import { clientFrame, RawAgent, RawPeer, TEXT, upgradeResponse } from '../support/raw-peer.ts';

/** Where a WebSocket can be opened. */
export interface Target {
  port: number;
  path: string;
}

const DRIP_EVERY_MS = 1000;

/**
 * @param drips what is sent on, a byte every second
 * @returns how long until the other side ends the connection, in milliseconds; null if it does not
 */
export async function suffered(peer: RawPeer, patienceMs: number, drips = ''): Promise<number | null> {
  const began = performance.now();
  const bytes = drips[Symbol.iterator]();
  const drip = setInterval(() => {
    const { value, done } = bytes.next();
    if (!done) peer.socket.write(value, 'latin1');
  }, DRIP_EVERY_MS);
  const over = new AbortController();
  const ended = new Promise<number>((resolve) => {
    const end = () => resolve(performance.now() - began);
    peer.socket.once('end', end).once('close', end);
  });
  const patience = delay(patienceMs, null, { signal: over.signal }).catch(() => null);
  const tookMs = await Promise.race([ended, patience]);
  over.abort();
  clearInterval(drip);
  peer.socket.destroy();
  return tookMs;
}

export async function sufferedHead(port: number, patienceMs: number, dripped: boolean): Promise<number | null> {
  const peer = await RawPeer.connect(port);
  peer.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ');
  return suffered(peer, patienceMs, dripped ? 'x'.repeat(1000) : '');
}

export async function sufferedSilence(port: number, patienceMs: number): Promise<number | null> {
  return suffered(await RawPeer.connect(port), patienceMs);
}

/** Half a frame is sent; the rest never, or a byte every second. */
export async function sufferedFrame(target: Target, patienceMs: number, dripped: boolean): Promise<number | null> {
  const peer = await RawPeer.upgrade(target.port, target.path);
  const frame = clientFrame(TEXT, 'x'.repeat(1000));
  peer.socket.write(frame.subarray(0, 500));
  return suffered(peer, patienceMs, dripped ? frame.subarray(500).toString('latin1') : '');
}

/** A client that answers no ping, like one whose machine has gone. */
export async function sufferedDeadClient(target: Target, patienceMs: number): Promise<number | null> {
  return suffered(await RawPeer.upgrade(target.port, target.path), patienceMs);
}

/** Agents of one kind: they shake hands, then do as told. */
export function serveAgents(then: (peer: RawPeer) => unknown = () => {}): Promise<RawAgent> {
  return RawAgent.serve(async (peer) => {
    peer.socket.write(upgradeResponse(await peer.head()));
    await then(peer);
  });
}
