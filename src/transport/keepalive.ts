/**
 * What a silent peer is owed. Half-open connections (a laptop that left, a NAT that forgot) end nobody's read, so the
 * daemon asks: a ping after each interval of silence, and after three intervals, two of them unanswered pings, the peer
 * is dead. Any byte from it is an answer.
 */
export type Keepalive = { action: 'wait' | 'ping'; nextMs: number } | { action: 'dead' };

/** @param silentMs since the peer last gave a sign of life */
export function keepalive(silentMs: number, pingIntervalMs: number): Keepalive {
  if (silentMs < pingIntervalMs) return { action: 'wait', nextMs: pingIntervalMs - silentMs };
  if (silentMs < 3 * pingIntervalMs) return { action: 'ping', nextMs: pingIntervalMs };
  return { action: 'dead' };
}
