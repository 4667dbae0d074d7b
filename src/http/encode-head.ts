import { isFieldValue, isToken } from './grammar.ts';

/**
 * Encodes a message head, with its empty line.
 *
 * @throws {TypeError} if a part could break out of its place. Every part was checked when it came in, so this means a
 *   fault in the caller. It is the last guard against header injection.
 */
export function encodeHead(startLine: string, fields: Iterable<readonly [name: string, value: string]>): Buffer {
  if (!isFieldValue(startLine)) throw new TypeError('Invalid start-line');
  let head = `${startLine}\r\n`;
  for (const [name, value] of fields) {
    if (!isToken(name) || !isFieldValue(value)) throw new TypeError('Invalid field');
    head += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, 'latin1');
}
