/** JSON of values from other extensions. The details of a tool may contain values that JSON does not know. */

/**
 * The result of `encode` for a value that cannot be encoded at all, for example because it is too large for a string.
 */
const UNENCODABLE = 'null';

/** Encodes a value. It never throws: parts that cannot be encoded are left out. */
export function encode(value: unknown): string {
  try {
    return JSON.stringify(value) ?? UNENCODABLE;
  } catch {
    return encodeCopy(value);
  }
}

/** @returns the object that the text encodes; null if it encodes none */
export function parseObject(text: string): Record<string, unknown> | null {
  // A prompt is seldom JSON and may be long, so it is not parsed without need.
  if (!/^\s*\{/.test(text)) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** The number of bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** Whether `encode` could encode the object, and the result has at most `maxBytes` bytes. */
export function fits(json: string, maxBytes: number): boolean {
  if (json === UNENCODABLE) return false;
  // A UTF-16 unit takes at most three bytes.
  return json.length * 3 <= maxBytes || byteLength(json) <= maxBytes;
}

/** Deeper than any message. `JSON.stringify` fails at some thousands of levels. */
const MAX_DEPTH = 64;

/** Encodes a copy that has only the parts that can be encoded. */
function encodeCopy(value: unknown): string {
  try {
    return JSON.stringify(copy(value, 0, new Set())) ?? UNENCODABLE;
  } catch {
    return UNENCODABLE;
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

/** Reads a field, whose getter may throw. */
function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
