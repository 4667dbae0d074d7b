import { isFieldValue, isToken } from './grammar.ts';

/**
 * A message head in bytes, empty line included.
 *
 * @throws {TypeError} where a part could break out of its line: what goes into a head was checked where it came from,
 * so this is a fault of our own, and the last guard against header injection.
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
