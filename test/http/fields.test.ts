import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../src/http/fields.ts';

test('fields: names are case-insensitive, values keep their order (RFC 9110, 5.2)', () => {
  const fields = new Fields([
    ['Accept', 'a'],
    ['Host', 'h'],
    ['ACCEPT', 'b, c'],
  ]);
  assert.equal(fields.get('aCCept'), 'a, b, c');
  assert.deepEqual(fields.all('accept'), ['a', 'b, c']);
  assert.deepEqual(fields.list('Accept'), ['a', 'b', 'c']);
  assert.equal(fields.has('HOST'), true);
});

test('fields: one that is not there', () => {
  const fields = new Fields();
  assert.equal(fields.has('host'), false);
  assert.equal(fields.get('host'), undefined);
  assert.deepEqual(fields.all('host'), []);
  assert.deepEqual(fields.list('host'), []);
});

test('fields: one that is empty is there', () => {
  const fields = new Fields([['Origin', '']]);
  assert.equal(fields.has('origin'), true);
  assert.equal(fields.get('origin'), '');
  assert.deepEqual(fields.all('origin'), ['']);
  assert.deepEqual(fields.list('origin'), []);
});

test('fields: names that objects inherit are names like any other', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'size']) {
    assert.equal(new Fields().has(name), false);
    assert.equal(new Fields().get(name), undefined);
    assert.equal(new Fields([[name, 'v']]).get(name.toUpperCase()), 'v');
  }
});
