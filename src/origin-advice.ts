/**
 * The answer to a refused page: the flag or variable that would let it connect.
 */
import type { OriginRefusal } from './http/gate.ts';

/** Matches an origin that is short, and harmless even if it is pasted into a shell. */
const HARMLESS = /^[\w.:/[\]-]{1,199}$/;

/** @returns one sentence. It repeats the origin only if that is harmless. */
export function adviseOnOrigin(refusal: OriginRefusal): string {
  if (refusal.reason === 'no-origin') return 'A page of this origin may connect only with a token: set HYPI_TOKEN';
  const { serialized, host } = refusal.origin;
  const [flag, argument] = refusal.reason === 'foreign-host' ? ['--allow-host', host] : ['--allow-origin', serialized];
  const [shown, value] = HARMLESS.test(serialized) ? [`Origin ${serialized}`, argument] : ['This origin', '…'];
  return `${shown} is not allowed: start hypivisor with ${flag} ${value}, or set HYPI_TOKEN`;
}
