/** The home folder of the daemon's user, so that paths below it are short. */
import { effect, signal } from '@preact/signals';
import { live, request } from './connection.ts';

const home = signal<string | null>(null);

export function learnHome(): void {
  effect(() => {
    if (!live.value || home.peek() !== null) return;
    request('list_directories', {}).then(
      ({ current }) => (home.value = current),
      // Then paths are shown whole.
      () => {},
    );
  });
}

/** `/home/me/work` → `~/work` */
export function shortPath(path: string): string {
  const { value } = home;
  if (value === null || value === '/' || !(path === value || path.startsWith(`${value}/`))) return path;
  return `~${path.slice(value.length)}`;
}
