/** JSON of values that other extensions made: a tool's details may hold what JSON cannot say. */

/** What `encode` makes of a value that cannot be said at all, because it is larger than a string can be, say. */
const UNSAYABLE = 'null';

/** Never throws: what cannot be said is left out. */
export function encode(value: unknown): string {
  try {
    return JSON.stringify(value) ?? UNSAYABLE;
  } catch {
    return encodeWhatCanBe(value);
  }
}

/** How many bytes a text takes in UTF-8. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** The JSON of an object, as `encode` made it, is one, and has at most so many bytes. */
export function fits(json: string, maxBytes: number): boolean {
  if (json === UNSAYABLE) return false;
  // A UTF-16 unit takes three bytes at the most.
  return json.length * 3 <= maxBytes || byteLength(json) <= maxBytes;
}

/** Deeper than any message is; `JSON.stringify` itself gives up at some thousands. */
const MAX_DEPTH = 64;

function encodeWhatCanBe(value: unknown): string {
  try {
    return JSON.stringify(copy(value, 0, new Set())) ?? UNSAYABLE;
  } catch {
    return UNSAYABLE;
  }
}

function copy(value: unknown, depth: number, above: Set<object>): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === MAX_DEPTH || above.has(value)) return undefined;
  above.add(value);
  try {
    if (Array.isArray(value)) return value.map((element) => copy(element, depth + 1, above));
    return Object.fromEntries(Object.keys(value).map((key) => [key, copy(read(value, key), depth + 1, above)]));
  } finally {
    above.delete(value);
  }
}

/** A getter may throw. */
function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
