/** Puts the chosen colours on the page. */
import { effect } from '@preact/signals';
import { pref, scheme } from '../state/prefs.ts';
import type { PiTheme } from './pi-theme.ts';

/** A theme of pi's that was imported here; null for our own. */
export const piTheme = pref<PiTheme | null>('pi-theme', (stored) =>
  typeof stored === 'object' && stored !== null && 'variables' in stored ? (stored as PiTheme) : null,
);

export function applyTheme(): void {
  const root = document.documentElement;
  let set: string[] = [];
  effect(() => {
    for (const name of set) root.style.removeProperty(name);
    set = [];
    const theme = piTheme.value;
    const chosen = theme?.scheme ?? scheme.value;
    if (chosen === 'system') delete root.dataset.scheme;
    else root.dataset.scheme = chosen;
    for (const [name, colour] of Object.entries(theme?.variables ?? {})) {
      root.style.setProperty(`--${name}`, String(colour));
      set.push(`--${name}`);
    }
  });
}
