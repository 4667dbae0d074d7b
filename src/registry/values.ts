/** Checks for the values of a node's fields. */

/** C0, DEL and C1, and lone surrogates, which UTF-8 cannot encode, so the text would arrive changed. */
const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/** @param maxBytes the length of the longest valid text, in bytes of UTF-8 */
export function isText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxBytes &&
    Buffer.byteLength(value) <= maxBytes &&
    !UNFIT_CHARACTER.test(value)
  );
}

/** @returns its fields, of which nothing is known; none if it has none */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

export function isInteger(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
