import { isFieldLine, isFieldValue } from './grammar.ts';

/**
 * Encodes a message head, with its empty line.
 *
 * @throws {TypeError} if a part could break out of its line. Every part was checked when it came in, so this is a fault
 *   of our own: it is the last guard against header injection.
 */
export function encodeHead(startLine: string, fields: Iterable<readonly [name: string, value: string]>): Buffer {
  if (!isFieldValue(startLine)) throw new TypeError('Invalid start-line');
  let head = `${startLine}\r\n`;
  for (const [name, value] of fields) {
    const line = `${name}: ${value}`;
    if (!isFieldLine(line)) throw new TypeError('Invalid field');
    head += `${line}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, 'latin1');
}
