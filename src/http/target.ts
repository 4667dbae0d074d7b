import { isUtf8 } from 'node:buffer';

/**
 * The parts of a request target (RFC 3986). Raw text is latin1, so each character is a byte, as message.ts returns it.
 */

/** ASCII without escapes. */
const PLAIN = /^[\x21-\x24\x26-\x7e]*$/;
const MALFORMED_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** Decodes raw text. Returns null if an escape is malformed. A `+` is a plus, never a space. */
export function percentDecode(raw: string): Buffer | null {
  if (MALFORMED_ESCAPE.test(raw)) return null;
  const bytes = raw.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(bytes, 'latin1');
}

/** Decodes one path segment. Returns null if an escape is malformed, or the bytes are not UTF-8. */
export function decodePathSegment(raw: string): string | null {
  if (PLAIN.test(raw)) return raw;
  const bytes = percentDecode(raw);
  return bytes !== null && isUtf8(bytes) ? bytes.toString('utf8') : null;
}

/**
 * The raw values of a query's parameter, in order. A parameter without `=` has an empty value. The name must match
 * exactly.
 */
export function queryParameters(query: string | null, name: string): string[] {
  if (query === null) return [];
  const values: string[] = [];
  for (const parameter of query.split('&')) {
    if (parameter === name) values.push('');
    else if (parameter.startsWith(`${name}=`)) values.push(parameter.slice(name.length + 1));
  }
  return values;
}
