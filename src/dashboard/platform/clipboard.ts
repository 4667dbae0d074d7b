/** Browsers have a clipboard only for pages on localhost or over TLS. */

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
