/**
 * Decides whether to ping a silent peer. Reading does not reveal a half-open connection (a laptop that left, a NAT that
 * forgot). So a silent peer is pinged after each interval. After three intervals, with two pings unanswered, it is
 * dead. Any byte from the peer is an answer.
 */
export type Keepalive = { action: 'wait' | 'ping'; nextMs: number } | { action: 'dead' };

/** @param silentMs the time since the peer's last sign of life */
export function keepalive(silentMs: number, pingIntervalMs: number): Keepalive {
  if (silentMs < pingIntervalMs) return { action: 'wait', nextMs: pingIntervalMs - silentMs };
  if (silentMs < 3 * pingIntervalMs) return { action: 'ping', nextMs: pingIntervalMs };
  return { action: 'dead' };
}
