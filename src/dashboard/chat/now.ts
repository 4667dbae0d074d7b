import { clock } from '../platform/clock.ts';

/** The time in milliseconds, updated every second while something `ticks`; 0 while nothing does. */
export function useNow(ticks: boolean): number {
  // A component that reads the clock is rendered again with it.
  return ticks && clock.value > 0 ? Date.now() : 0;
}
