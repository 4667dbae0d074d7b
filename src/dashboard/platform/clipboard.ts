/** Browsers have a clipboard for pages on localhost and over TLS alone. */

export const canCopy = typeof navigator.clipboard?.writeText === 'function';

/** @returns whether it was copied */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
