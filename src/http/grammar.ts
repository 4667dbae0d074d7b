/**
 * The terminals of the HTTP grammar (RFC 9110, section 5.6). Text here is latin1: each character is one byte of the
 * wire. Every pattern is one anchored character class, so none can backtrack.
 */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** `token = 1*tchar` (RFC 9110, section 5.6.2). */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * Whether the text is a valid field value: visible characters, spaces, tabs and obs-text, which is any byte from 0x80
 * on (RFC 9110, section 5.5). "Field values containing CR, LF, or NUL characters are invalid and dangerous". The other
 * control characters are refused too, because no field that this server reads needs them.
 */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/**
 * Removes optional white space, which is SP and HTAB only, from both ends. `trim()` would also remove 0xA0, which can
 * be a byte of UTF-8, and a pattern that ends in `[ \t]+$` takes quadratic time on a long run of spaces.
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
