import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

const now = signal(0);
let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** The time in milliseconds, anew each second for as long as something `ticks`: one timer for all. */
export function useNow(ticks: boolean): number {
  useEffect(() => {
    if (!ticks) return;
    users += 1;
    now.value = Date.now();
    timer ??= setInterval(() => {
      now.value = Date.now();
    }, 1000);
    return () => {
      users -= 1;
      if (users > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, [ticks]);
  if (!ticks) return 0;
  return Math.max(now.value, 0) || Date.now();
}
