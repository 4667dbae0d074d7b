/** The page's notices, each until it is dismissed or replaced. */
import { signal } from '@preact/signals';

export interface Notice {
  /** A notice with the same key replaces the one before. */
  key: string;
  level: 'info' | 'warning' | 'error';
  text: string;
  action?: { label: string; run(): void };
}

export const notices = signal<readonly Notice[]>([]);

/** Errors stay until they are dismissed or replaced; the rest goes by itself after some seconds. */
export function notify(notice: Notice): void {
  notices.value = [...notices.peek().filter(({ key }) => key !== notice.key), notice];
}

export function dismiss(key: string): void {
  notices.value = notices.peek().filter((notice) => notice.key !== key);
}
