/**
 * The small words of the HTTP grammar (RFC 9110, section 5.6). Text here is latin1: each character is one byte as it
 * stood on the wire. Every pattern is one anchored character class, so none can backtrack.
 */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** `token = 1*tchar` (RFC 9110, section 5.6.2). */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * Whether the text can stand as a field value: visible characters, spaces, tabs and obs-text, that is any byte from
 * 0x80 on (RFC 9110, section 5.5). "Field values containing CR, LF, or NUL characters are invalid and dangerous";
 * the other control characters are refused with them, as no field this server reads has a use for them.
 */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/**
 * Takes the optional white space, SP and HTAB alone, off both ends. `trim()` would take 0xA0 too, which is a byte of
 * somebody's UTF-8, and a pattern ending in `[ \t]+$` is quadratic on a long run of spaces.
 */
export function trimWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * The elements of a comma-separated list. "A recipient MUST parse and ignore a reasonable number of empty list
 * elements" (RFC 9110, section 5.6.1.2).
 */
export function splitList(value: string): string[] {
  return value
    .split(',')
    .map(trimWhitespace)
    .filter((element) => element !== '');
}

function isWhitespace(character: number): boolean {
  return character === 0x20 || character === 0x09;
}
