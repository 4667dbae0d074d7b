/** Which dialog lies over the page: one at a time. */
import { signal } from '@preact/signals';

export type DialogName = 'spawn' | 'settings' | 'palette' | 'help' | 'share' | 'stop-all' | 'machines';

export const dialog = signal<DialogName | null>(null);

export function show(name: DialogName): void {
  dialog.value = name;
}

export function hide(): void {
  dialog.value = null;
}
