/** The checkout whose build is measured: this one, or for a while an older one. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('../..', import.meta.url));

let checkout = HERE;

/** Of a file of the checkout, from its top. */
export function fileOf(path: string): string {
  return resolve(checkout, path);
}

/** Does it with that checkout. One at a time: measurements never overlap. */
export async function withCheckout<T>(folder: string, measure: () => Promise<T>): Promise<T> {
  checkout = resolve(folder);
  try {
    return await measure();
  } finally {
    checkout = HERE;
  }
}
