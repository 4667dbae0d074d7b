import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFieldValue, isToken, splitList, trimWhitespace } from '../../src/http/grammar.ts';

const latin1 = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

test('token: every byte on its own (RFC 9110, 5.6.2)', () => {
  const tchars = new Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
  for (let byte = 0; byte < 0x100; byte++) {
    const character = String.fromCharCode(byte);
    assert.equal(isToken(character), tchars.has(character), `byte ${byte}`);
  }
});

test('token: not empty, no part of it something else', () => {
  for (const text of ['', ' a', 'a ', 'a b', 'a\n', 'a,b', '"a"', 'ā']) assert.equal(isToken(text), false, text);
  for (const text of ['a', 'hypi.v1', '__proto__', 'permessage-deflate']) assert.equal(isToken(text), true, text);
});

test('field value: every byte on its own (RFC 9110, 5.5)', () => {
  for (let byte = 0; byte < 0x100; byte++) {
    const allowed = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
    assert.equal(isFieldValue(`a${String.fromCharCode(byte)}b`), allowed, `byte ${byte}`);
  }
});

test('field value: may be empty; a character that is no byte is none', () => {
  assert.equal(isFieldValue(''), true);
  assert.equal(isFieldValue('ā'), false);
  assert.equal(isFieldValue('a\n'), false);
});

test('white space: SP and HTAB alone are trimmed', () => {
  const vectors: [string, string][] = [
    ['', ''],
    [' \t ', ''],
    [' \ta b\t ', 'a b'],
    ['a', 'a'],
    ['\u00a0a\u00a0', '\u00a0a\u00a0'],
    ['\u000ba', '\u000ba'],
  ];
  for (const [text, trimmed] of vectors) assert.equal(trimWhitespace(text), trimmed);
});

test('lists: split at commas, trimmed, empty elements ignored (RFC 9110, 5.6.1.2)', () => {
  const vectors: [string, string[]][] = [
    ['', []],
    [',', []],
    [' , ,\t', []],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a ,\t b,,c d ,', ['a', 'b', 'c d']],
  ];
  for (const [value, elements] of vectors) assert.deepEqual(splitList(value), elements);
});

test('lists: for any text, elements are trimmed, not empty, and say the same when joined again', () => {
  fc.assert(
    fc.property(latin1, (value) => {
      const elements = splitList(value);
      for (const element of elements) assert.equal(element !== '' && trimWhitespace(element) === element, true);
      assert.deepEqual(splitList(elements.join(', ')), elements);
    }),
  );
});

test('a long run of spaces or commas costs what it is long', () => {
  const long = 1 << 20;
  assert.equal(trimWhitespace(`a${' '.repeat(long)}b`).length, long + 2);
  assert.equal(trimWhitespace(' '.repeat(long)), '');
  assert.deepEqual(splitList(','.repeat(long)), []);
});
