/** How long something has been so, as it grows. */
import { useComputed } from '@preact/signals';
import { daemonNow } from '../state/connection.ts';
import { duration } from '../state/format.ts';

/** @param at Unix seconds by the daemon's clock */
export function Since({ at }: { at: number }) {
  // A signal as text: only this text is updated, and only if it changes.
  const text = useComputed(() => duration(daemonNow.value - at));
  return <time dateTime={new Date(at * 1000).toISOString()}>{text}</time>;
}
