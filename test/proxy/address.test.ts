import assert from 'node:assert/strict';
import net from 'node:net';
import os from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalAddress, isLoopback, ownAddresses } from '../../src/proxy/address.ts';

const spellings: [text: string, canonical: string][] = [
  ['10.0.0.5', '10.0.0.5'],
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['[::1]', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['0000:0000::0001', '::1'],
  ['::', '::'],
  ['2001:DB8::A', '2001:db8::a'],
  ['2001:db8:0:0:0:0:0:a', '2001:db8::a'],
  ['[2001:DB8::A]', '2001:db8::a'],
  // IPv4-mapped: it reaches the IPv4 address (RFC 4291, section 2.5.5.2).
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['[::ffff:10.0.0.255]', '10.0.0.255'],
  ['::ffff:0:0', '0.0.0.0'],
  ['::ffff:255.255.255.255', '255.255.255.255'],
  ['0:0:0:0:0:ffff:c0a8:0101', '192.168.1.1'],
  // IPv4-compatible and translated ones are addresses of their own.
  ['::127.0.0.1', '::7f00:1'],
  ['64:ff9b::127.0.0.1', '64:ff9b::7f00:1'],
  // A zone says which link a link-local address is on (RFC 4007), and nothing elsewhere.
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['[fe80::1%eth0]', 'fe80::1%eth0'],
  ['FE80:0::1%eth0', 'fe80::1%eth0'],
  ['febf::1%2', 'febf::1%2'],
  ['fe80::1', 'fe80::1'],
  ['::1%lo', '::1'],
  ['::1%1', '::1'],
  ['::%lo', '::'],
  ['2001:db8::1%eth0', '2001:db8::1'],
  ['fec0::1%eth0', 'fec0::1'],
  ['::ffff:127.0.0.1%lo', '127.0.0.1'],
  // What is no address stands as it is.
  ['localhost', 'localhost'],
  ['Ubuntu', 'Ubuntu'],
  ['', ''],
  ['0', '0'],
  ['2130706433', '2130706433'],
  ['0177.0.0.1', '0177.0.0.1'],
  ['127.1', '127.1'],
  ['[10.0.0.5]', '10.0.0.5'],
  ['[name]', 'name'],
  ['[::1', '[::1'],
  ['::1]', '::1]'],
  ['::g', '::g'],
];

for (const [text, canonical] of spellings) {
  test(`${text || '(nothing)'} is ${canonical || '(nothing)'}`, () => {
    assert.equal(canonicalAddress(text), canonical);
    assert.equal(canonicalAddress(canonical), canonical, 'which is its own canonical form');
  });
}

test('all spellings of an address have one canonical form, which is an address', () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const canonical = canonicalAddress(address);
      assert.ok(net.isIP(canonical), canonical);
      assert.equal(canonicalAddress(address.toUpperCase()), canonical);
      assert.equal(canonicalAddress(`[${address}]`), canonical);
      assert.equal(canonicalAddress(canonical), canonical);
    }),
  );
});

test('IPv4, mapped or not, is the same', () => {
  fc.assert(fc.property(fc.ipV4(), (address) => assert.equal(canonicalAddress(`::ffff:${address}`), address)));
});

for (const address of ['127.0.0.1', '127.0.0.2', '127.255.255.255', '::1', '::', '0.0.0.0']) {
  test(`${address} is this machine`, () => assert.equal(isLoopback(address), true));
}

for (const address of [
  '126.0.0.1',
  '128.0.0.1',
  '10.0.0.1',
  '0.0.0.1',
  '::2',
  '::7f00:1',
  '127.evil.example',
  'fe80::1',
]) {
  test(`${address} need not be this machine`, () => assert.equal(isLoopback(address), false));
}

test('this machine’s own addresses, each in its canonical form, link-local ones with either form of their zone', (t) => {
  const ipv6 = { family: 'IPv6', netmask: '', mac: '', internal: false, cidr: null } as const;
  const ipv4 = { family: 'IPv4', netmask: '', mac: '', internal: false, cidr: null } as const;
  t.mock.method(os, 'networkInterfaces', () => ({
    lo: [
      { ...ipv4, address: '127.0.0.1' },
      { ...ipv6, address: '::1', scopeid: 0 },
    ],
    eth0: [
      { ...ipv4, address: '10.0.0.5' },
      { ...ipv6, address: '2001:DB8:0::5', scopeid: 0 },
      { ...ipv6, address: 'fe80::5', scopeid: 2 },
    ],
    gone: undefined,
  }));
  assert.deepEqual(
    ownAddresses(),
    new Set(['127.0.0.1', '::1', '10.0.0.5', '2001:db8::5', 'fe80::5', 'fe80::5%eth0', 'fe80::5%2']),
  );
});

test('a sandbox that denies the question leaves this machine without addresses that are known', (t) => {
  t.mock.method(os, 'networkInterfaces', () => {
    throw new Error('uv_interface_addresses returned EAFNOSUPPORT');
  });
  assert.deepEqual(ownAddresses(), new Set());
});

test('this machine has a loopback address', () => {
  assert.ok(ownAddresses().has('127.0.0.1'));
});

test('own addresses: none if the system does not report them (a sandbox without netlink)', (t) => {
  t.mock.method(os, 'networkInterfaces', () => {
    throw new Error('A system error occurred: uv_interface_addresses returned Unknown system error 97');
  });
  assert.deepEqual([...ownAddresses()], []);
});
