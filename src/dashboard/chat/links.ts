/** Which addresses in an agent's text may become links, and what a person is told about them. */

const SAFE_PROTOCOLS = new Set(['http:', 'https:', 'mailto:']);
const DATA_IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/;

/** The address as it may stand in a link; null if it is relative, malformed, or of any other protocol. */
export function safeLink(address: string): string | null {
  // Browsers drop tabs and line breaks within an address, so `java\nscript:` is one; URL does the same.
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return SAFE_PROTOCOLS.has(url.protocol) ? url.href : null;
}

/** Whether an image may be shown: only if the text itself contains it. Nothing is ever fetched from elsewhere. */
export function isInlineImage(address: string): boolean {
  return DATA_IMAGE.test(address);
}

/**
 * The host that a link really leads to, if its text looks like an address of another one; null otherwise.
 *
 * @param href as `safeLink` returned it
 */
export function misleadingHost(text: string, href: string): string | null {
  const url = new URL(href);
  if (url.protocol === 'mailto:') return null;
  const claimed = /^\s*(?:https?:\/\/)?((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})(?=[/:?#\s]|$)/iu.exec(text)?.[1];
  if (claimed === undefined) return null;
  const bare = (host: string) => host.toLowerCase().replace(/^www\./, '');
  return bare(claimed) === bare(url.hostname) ? null : url.host;
}
