import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readUpgradeRequest } from '../../src/http/handshake.ts';
import { parseRequestHead } from '../../src/http/message.ts';
import { createKey } from '../../src/opening/key.ts';

test('1,000 keys are 16 random bytes each, all different, and a server takes them (RFC 6455, 4.1)', () => {
  const keys = Array.from({ length: 1_000 }, createKey);
  for (const key of keys) {
    assert.equal(Buffer.from(key, 'base64').length, 16);
    assert.equal(Buffer.from(key, 'base64').toString('base64'), key);
    const fields = ['Host: h', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    const head = ['GET / HTTP/1.1', ...fields, `Sec-WebSocket-Key: ${key}`, '', ''].join('\r\n');
    assert.equal(readUpgradeRequest(parseRequestHead(Buffer.from(head), 10)).key, key);
  }
  assert.equal(new Set(keys).size, 1_000);
});
