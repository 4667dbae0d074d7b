/** What a screen reader says by itself: short, and rarely. */
import { signal } from '@preact/signals';

export const announcement = signal('');

export function announce(text: string): void {
  // The same words twice are said twice: a space makes them others.
  announcement.value = announcement.peek() === text ? `${text} ` : text;
}
