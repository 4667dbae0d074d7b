/** The token, as this browser keeps it. */
import { signal } from '@preact/signals';
import { load, save } from '../platform/storage.ts';
import { takeToken } from './place.ts';

const KEY = 'hypi.token';

export const token = signal<string | null>(readToken());

function readToken(): string | null {
  const stored = load(KEY);
  return typeof stored === 'string' && stored !== '' ? stored : null;
}

export function keepToken(value: string): void {
  token.value = value;
  save(KEY, value);
}

export function forgetToken(): void {
  token.value = null;
  save(KEY, undefined);
}

/** Takes it out of the address, if it came with that. */
export function takeTokenFromAddress(): void {
  const taken = takeToken(location.href);
  if (taken.address !== location.href) history.replaceState(null, '', taken.address);
  if (taken.token !== null) keepToken(taken.token);
}
