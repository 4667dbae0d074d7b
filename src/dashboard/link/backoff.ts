/** When to try again. Pure. */

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;
const JITTER_MS = 500;

/**
 * How long to wait before a try: none before the first, then 1 s doubling to 30 s, each with up to half a second on top,
 * so that many pages do not come back to a daemon at the same moment.
 *
 * @param tries how many have failed since a connection was last open
 * @param random from 0 up to 1
 * @returns milliseconds
 */
export function delayBefore(tries: number, random: number): number {
  if (tries === 0) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (tries - 1), LONGEST_DELAY_MS) + random * JITTER_MS;
}
