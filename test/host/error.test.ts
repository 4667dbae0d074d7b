import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { HostError, hasCode, hostError, UnusablePathError } from '../../src/host/error.ts';

function systemError(code: 'ENOENT' | 'EACCES', more: object = {}): Error {
  const message = `${code}: secret detail, open '/root/secret'`;
  return Object.assign(new Error(message), { code, errno: -constants.errno[code], ...more });
}

test('a sentence tells the plain reason of an error, and nothing else of it', () => {
  const vectors: [unknown, string][] = [
    [systemError('ENOENT'), 'no such file or directory'],
    [systemError('EACCES', { path: '/root/secret', syscall: 'open' }), 'permission denied'],
    [new UnusablePathError('name too long'), 'name too long'],
    [systemError('ENOENT', { path: '/opt/pi/bin/pi', syscall: 'spawn /opt/pi/bin/pi' }), 'pi: command not found'],
    [systemError('EACCES', { path: 'pi', syscall: 'spawn pi' }), 'pi: permission denied'],
    [systemError('EACCES', { syscall: 'spawn' }), 'permission denied'],
    [new TypeError('secret'), 'unexpected error'],
    [Object.assign(new Error('secret'), { errno: 1e9, path: '/root/secret' }), 'unexpected error'],
    ['secret', 'unexpected error'],
    [undefined, 'unexpected error'],
  ];
  for (const [error, reason] of vectors) {
    const { name, message } = hostError('Cannot do it', error);
    assert.deepEqual({ name, message }, { name: 'HostError', message: `Cannot do it: ${reason}` });
  }
});

test('an error that has its sentence already keeps it', () => {
  const error = new HostError('Path does not exist');
  assert.equal(hostError('Failed to spawn', error), error);
});

test('a code is found on errors alone', () => {
  assert.equal(hasCode(systemError('ENOENT'), 'ENOENT'), true);
  assert.equal(hasCode(systemError('EACCES'), 'ENOENT'), false);
  assert.equal(hasCode(new Error('ENOENT'), 'ENOENT'), false);
  assert.equal(hasCode({ code: 'ENOENT' }, 'ENOENT'), false);
  assert.equal(hasCode(undefined, 'ENOENT'), false);
});
