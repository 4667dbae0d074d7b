import { clock } from '../platform/clock.ts';

/** The time in milliseconds, anew each second for as long as something `ticks`; 0 while it does not. */
export function useNow(ticks: boolean): number {
  // Reading the clock in a component is what makes it render again with it.
  return ticks && clock.value > 0 ? Date.now() : 0;
}
