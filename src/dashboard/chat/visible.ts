/**
 * Makes characters visible that would otherwise hide in a text, or change how it looks.
 *
 * Agents' text is never trusted: a right-to-left override can make a harmful command look harmless ("Trojan source",
 * CVE-2021-42574), tag characters carry text that only a model reads, and control characters show as nothing.
 */

const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this file is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/;
const ALL_HIDDEN = new RegExp(HIDDEN, 'g');

/**
 * The text with every hidden or reordering character replaced by a picture or its code point: ␛ for Escape, ⟦U+202E⟧ for a
 * right-to-left override. Tabs and line feeds stay, as do joiners and direction marks, which ordinary text needs.
 */
export function visible(text: string): string {
  return HIDDEN.test(text) ? text.replace(ALL_HIDDEN, picture) : text;
}

function picture(character: string): string {
  const code = character.codePointAt(0) as number;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `⟦U+${code.toString(16).toUpperCase().padStart(4, '0')}⟧`;
}
