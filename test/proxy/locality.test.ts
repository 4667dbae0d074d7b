import assert from 'node:assert/strict';
import os from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { Locality } from '../../src/proxy/locality.ts';

interface Scene {
  locality: Locality;
  clock: { now: number };
  asked: () => number;
  addresses: string[];
}

function scene(t: TestContext, hostName = 'ubuntu'): Scene {
  const clock = { now: 0 };
  const addresses = ['10.0.0.1'];
  t.mock.method(os, 'hostname', () => hostName);
  const { mock } = t.mock.method(os, 'networkInterfaces', (() => ({
    eth0: addresses.map((address) => ({ address, family: 'IPv4' })),
  })) as unknown as typeof os.networkInterfaces);
  const locality = new Locality({ now: () => clock.now, ownPort: () => 31_415, onlyWhereRegistered: false });
  return { locality, clock, asked: () => mock.callCount(), addresses };
}

describe('what is judged of a registration', () => {
  for (const [machine, peerAddress, expected] of [
    ['ubuntu', '127.0.0.1', { address: '127.0.0.1', isHere: true, namesHere: true }],
    ['UBUNTU.', '::ffff:127.0.0.1', { address: '127.0.0.1', isHere: true, namesHere: true }],
    ['localhost', '10.0.0.5', { address: '10.0.0.5', isHere: false, namesHere: true }],
    ['a.localhost', '10.0.0.1', { address: '10.0.0.1', isHere: true, namesHere: true }],
    ['laptop', '2001:DB8:0::5', { address: '2001:db8::5', isHere: false, namesHere: false }],
    ['', '127.0.0.1', { address: '127.0.0.1', isHere: true, namesHere: false }],
  ] as const) {
    test(`${machine || 'no name'}, from ${peerAddress}`, (t) => {
      assert.deepEqual(scene(t).locality.judge(machine, peerAddress), expected);
    });
  }

  test('on a machine without a name, an agent without one names this machine', (t) => {
    assert.equal(scene(t, '').locality.judge('', '127.0.0.1').namesHere, true);
    assert.equal(scene(t, '').locality.judge('ubuntu', '127.0.0.1').namesHere, false);
  });
});

describe('the system’s interfaces', () => {
  test('are asked for once in a second at the most, and never for loopback', (t) => {
    const { locality, clock, asked, addresses } = scene(t);
    for (const address of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(locality.isHere(address), true);
    assert.equal(asked(), 0);
    for (let i = 0; i < 100; i++) assert.equal(locality.isHere('10.0.0.1'), true);
    assert.equal(asked(), 1);
    addresses[0] = '10.0.0.2';
    clock.now = 999;
    assert.equal(locality.isHere('10.0.0.2'), false, 'believed');
    clock.now = 1000;
    assert.equal(locality.isHere('10.0.0.2'), true);
    assert.equal(asked(), 2);
  });

  test('that cannot be asked for are none: loopback is this machine all the same', (t) => {
    const { locality } = scene(t);
    t.mock.method(os, 'networkInterfaces', () => {
      throw Object.assign(
        new Error('A system error occurred: uv_interface_addresses returned Unknown system error 97'),
        {
          code: 'ERR_SYSTEM_ERROR',
        },
      );
    });
    assert.equal(locality.isHere('127.0.0.1'), true);
    assert.equal(locality.isHere('10.0.0.1'), false);
    assert.deepEqual(locality.judge('ubuntu', '10.0.0.1'), { address: '10.0.0.1', isHere: false, namesHere: true });
  });

  test('tell the daemon’s own address, on its own port alone', (t) => {
    const { locality } = scene(t);
    assert.equal(locality.isOwn('10.0.0.1', 31_415), true);
    assert.equal(locality.isOwn('127.0.0.1', 31_415), true);
    assert.equal(locality.isOwn('10.0.0.1', 8080), false);
    assert.equal(locality.isOwn('10.0.0.5', 31_415), false);
  });
});
