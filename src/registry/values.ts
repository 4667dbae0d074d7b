/** What a field of a node may be. */

/** C0, DEL and C1; and lone surrogates, which on the wire would turn into another text. */
const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/** @param maxBytes the longest text taken, in bytes of UTF-8 */
export function isText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxBytes &&
    Buffer.byteLength(value) <= maxBytes &&
    !UNFIT_CHARACTER.test(value)
  );
}

export function isInteger(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
