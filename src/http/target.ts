import { isUtf8 } from 'node:buffer';

/**
 * What stands inside a request target (RFC 3986). Raw text is latin1, one character a byte, as message.ts returns it.
 */

const MALFORMED_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** The bytes that raw text stands for, or null where an escape is malformed. A `+` is a plus, never a space. */
export function percentDecode(raw: string): Buffer | null {
  if (MALFORMED_ESCAPE.test(raw)) return null;
  const bytes = raw.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(bytes, 'latin1');
}

/** The text of one path segment, or null where an escape is malformed or the bytes are no UTF-8. */
export function decodePathSegment(raw: string): string | null {
  const bytes = percentDecode(raw);
  return bytes !== null && isUtf8(bytes) ? bytes.toString('utf8') : null;
}

/** The raw values of a query's parameter, in order; a parameter without `=` has the empty one. The name must be exact. */
export function queryParameters(query: string | null, name: string): string[] {
  if (query === null) return [];
  const values: string[] = [];
  for (const parameter of query.split('&')) {
    if (parameter === name) values.push('');
    else if (parameter.startsWith(`${name}=`)) values.push(parameter.slice(name.length + 1));
  }
  return values;
}
