/** Announcements by screen readers: short, and rare. */
import { signal } from '@preact/signals';

export const announcement = signal('');

export function announce(text: string): void {
  // A space makes repeated words different, so that they are said twice.
  announcement.value = announcement.peek() === text ? `${text} ` : text;
}
