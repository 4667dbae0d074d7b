import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import os from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { isLoopback } from '../../src/proxy/address.ts';
import {
  addressesOf,
  addressesOfName,
  isNextDoor,
  type Surroundings,
  type Target,
} from '../../src/proxy/destination.ts';
import { DialError } from '../../src/proxy/error.ts';
import { Locality } from '../../src/proxy/locality.ts';

const PORT = 8080;
const OWN_PORT = 31_415;

/** The daemon's machine, called ubuntu, at 10.0.0.1. */
const OWN_ADDRESSES = new Set(['127.0.0.1', '::1', '10.0.0.1', '2001:db8::1', 'fe80::1', 'fe80::1%eth0']);
const isHere = (address: string) => isLoopback(address) || OWN_ADDRESSES.has(address);
const WITH_TOKEN: Surroundings = {
  isHere,
  isOwn: (address, port) => port === OWN_PORT && isHere(address),
  onlyWhereRegistered: false,
};
const TOKENLESS: Surroundings = { ...WITH_TOKEN, onlyWhereRegistered: true };

/** What the daemon's resolver says. */
const NAMES: Record<string, string[]> = {
  laptop: ['10.0.0.5'],
  'multi.example': ['10.0.0.5', '2001:DB8::5', '10.0.0.5', '10.0.0.6'],
  'mine.example': ['127.0.0.1', '10.0.0.1'],
  'mixed.example': ['10.0.0.1', '10.0.0.7'],
  'mapped.example': ['::ffff:10.0.0.5'],
  'local.example': ['127.0.0.1'],
  // As getaddrinfo understands numbers.
  '0': ['0.0.0.0'],
  '2130706433': ['127.0.0.1'],
  '0177.0.0.1': ['127.0.0.1'],
  '0x7f.1': ['127.0.0.1'],
  '127.1': ['127.0.0.1'],
};

const INTERFACES = {
  lo: [{ address: '127.0.0.1', family: 'IPv4' }],
  eth0: [
    { address: '10.0.0.1', family: 'IPv4' },
    { address: '2001:db8::1', family: 'IPv6', scopeid: 0 },
    { address: 'fe80::1', family: 'IPv6', scopeid: 2 },
  ],
} as unknown as ReturnType<typeof os.networkInterfaces>;

const FAR = '10.0.0.5';
const CANNOT_RESOLVE = 'Cannot resolve agent: its machine name is unknown here';
const ONLY_WHERE_REGISTERED = 'Cannot reach agent: without a token, only where it registered from';
const THE_HYPIVISOR = 'Cannot reach agent: its address is the hypivisor itself';

interface Outcome {
  addresses: string[] | string;
  lookUps: string[];
}

/** As it was judged when the agent registered. */
function targetOf(t: TestContext, machine: string, registeredFrom: string, port = PORT, hasDouble = false): Target {
  const interfaces = t.mock.method(os, 'networkInterfaces', () => INTERFACES);
  const name = t.mock.method(os, 'hostname', () => 'ubuntu');
  const locality = new Locality({ now: () => 0, ownPort: () => OWN_PORT, onlyWhereRegistered: false });
  const registrant = locality.judge(machine, registeredFrom);
  interfaces.mock.restore();
  name.mock.restore();
  return { machine, port, registrant, hasDouble, wayBack: null };
}

function find(surroundings: Surroundings, target: Target): Outcome {
  const lookUps: string[] = [];
  try {
    const addresses = addressesOf(target, surroundings);
    if (addresses !== null) return { addresses: [...addresses], lookUps };
    lookUps.push(target.machine);
    return { addresses: [...addressesOfName(target, surroundings, NAMES[target.machine] ?? [])], lookUps };
  } catch (error) {
    assert.ok(error instanceof DialError);
    return { addresses: error.message, lookUps };
  }
}

type Vector = [machine: string, registeredFrom: string, withToken: string[] | string, tokenless: string[] | string];

const vectors: Record<string, Vector[]> = {
  'a loopback name or this host’s own, registered from this machine: loopback, then where it came from': [
    ['localhost', '127.0.0.1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['localhost', '::1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['localhost', '::ffff:127.0.0.1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['localhost', '127.0.0.2', ['127.0.0.1', '::1', '127.0.0.2'], ['127.0.0.1', '::1', '127.0.0.2']],
    ['LocalHost.', '127.0.0.1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['box.localhost', '127.0.0.1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['ubuntu', '127.0.0.1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['Ubuntu', '::1', ['127.0.0.1', '::1'], ['127.0.0.1', '::1']],
    ['ubuntu', '10.0.0.1', ['127.0.0.1', '::1', '10.0.0.1'], ['127.0.0.1', '::1', '10.0.0.1']],
    ['ubuntu', 'fe80::1%eth0', ['127.0.0.1', '::1', 'fe80::1%eth0'], ['127.0.0.1', '::1', 'fe80::1%eth0']],
  ],
  'a loopback name or this host’s own, registered from elsewhere: where it came from': [
    ['localhost', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['localhost', '::ffff:10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['a.b.localhost', '2001:DB8::5', ['2001:db8::5'], ['2001:db8::5']],
    ['ubuntu', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['UBUNTU.', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['ubuntu', 'fe80::5%eth0', ['fe80::5%eth0'], ['fe80::5%eth0']],
    ['ubuntu', 'fe80::1%eth1', ['fe80::1%eth1'], ['fe80::1%eth1']],
  ],
  'a loopback or own address, registered from this machine: that address': [
    ['127.0.0.1', '127.0.0.1', ['127.0.0.1'], ['127.0.0.1']],
    ['127.0.0.2', '127.0.0.1', ['127.0.0.2'], ['127.0.0.2']],
    ['::1', '127.0.0.1', ['::1'], ['::1']],
    ['[::1]', '10.0.0.1', ['::1'], ['::1']],
    ['::1%lo', '127.0.0.1', ['::1'], ['::1']],
    ['::ffff:127.0.0.1', '127.0.0.1', ['127.0.0.1'], ['127.0.0.1']],
    ['0.0.0.0', '127.0.0.1', ['0.0.0.0'], ['0.0.0.0']],
    ['10.0.0.1', '127.0.0.1', ['10.0.0.1'], ['10.0.0.1']],
    ['2001:DB8:0::1', '10.0.0.1', ['2001:db8::1'], ['2001:db8::1']],
    ['fe80::1%eth0', '127.0.0.1', ['fe80::1%eth0'], ['fe80::1%eth0']],
  ],
  'a loopback or own address, registered from elsewhere: where it came from': [
    ['127.0.0.1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['127.0.0.2', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['[::1]', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::1%lo', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::ffff:127.0.0.1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::ffff:7f00:1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['0.0.0.0', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    // Its own network may have the daemon's address too.
    ['10.0.0.1', '203.0.113.5', ['203.0.113.5'], ['203.0.113.5']],
    ['2001:db8::1%eth0', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
  ],
  'another address: that one': [
    ['10.0.0.9', '127.0.0.1', ['10.0.0.9'], ONLY_WHERE_REGISTERED],
    ['10.0.0.9', '10.0.0.5', ['10.0.0.9'], ONLY_WHERE_REGISTERED],
    ['10.0.0.5', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['::ffff:10.0.0.5', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['[2001:DB8::5]', '2001:db8:0::5', ['2001:db8::5'], ['2001:db8::5']],
    ['169.254.169.254', '10.0.0.5', ['169.254.169.254'], ONLY_WHERE_REGISTERED],
    ['169.254.169.254', '127.0.0.1', ['169.254.169.254'], ONLY_WHERE_REGISTERED],
    ['fe80::5%eth0', '10.0.0.5', ['fe80::5%eth0'], ONLY_WHERE_REGISTERED],
  ],
  'another name: what it resolves to, each address once, in the resolver’s order': [
    ['laptop', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['laptop', '127.0.0.1', ['10.0.0.5'], ONLY_WHERE_REGISTERED],
    ['laptop', '10.0.0.6', ['10.0.0.5'], ONLY_WHERE_REGISTERED],
    ['mapped.example', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['multi.example', '10.0.0.6', ['10.0.0.5', '2001:db8::5', '10.0.0.6'], ['10.0.0.6']],
    ['multi.example', '127.0.0.1', ['10.0.0.5', '2001:db8::5', '10.0.0.6'], ONLY_WHERE_REGISTERED],
  ],
  'another name, or a number, that turns out to be this machine: only if it registered from this machine': [
    ['mine.example', '127.0.0.1', ['127.0.0.1', '10.0.0.1'], ['127.0.0.1', '10.0.0.1']],
    ['mine.example', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['mixed.example', '127.0.0.1', ['10.0.0.1', '10.0.0.7'], ['10.0.0.1']],
    ['mixed.example', '10.0.0.5', ['10.0.0.5', '10.0.0.7'], ['10.0.0.5']],
    ['local.example', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['0', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['0', '127.0.0.1', ['0.0.0.0'], ['0.0.0.0']],
    ['2130706433', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['0177.0.0.1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['0177.0.0.1', '127.0.0.1', ['127.0.0.1'], ['127.0.0.1']],
    ['0x7f.1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['127.1', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
  ],
  'a name that does not resolve: where it came from, unless that is loopback': [
    ['nowhere', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['nowhere', '::ffff:10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
    ['nowhere', '10.0.0.1', ['10.0.0.1'], ['10.0.0.1']],
    ['nowhere', '127.0.0.1', CANNOT_RESOLVE, CANNOT_RESOLVE],
    ['nowhere', '::1', CANNOT_RESOLVE, CANNOT_RESOLVE],
    ['nowhere', '::ffff:127.0.0.1', CANNOT_RESOLVE, CANNOT_RESOLVE],
    ['localhost.evil.example', '127.0.0.1', CANNOT_RESOLVE, CANNOT_RESOLVE],
    ['ubuntu.local', '10.0.0.5', ['10.0.0.5'], ['10.0.0.5']],
  ],
};

test('no name at all: without a look-up it is the address that the agent came from', (t) => {
  assert.deepEqual(find(WITH_TOKEN, targetOf(t, '', FAR)), { addresses: [FAR], lookUps: [] });
  assert.deepEqual(find(WITH_TOKEN, targetOf(t, '', '127.0.0.1')), { addresses: CANNOT_RESOLVE, lookUps: [] });
});

for (const [rule, rows] of Object.entries(vectors)) {
  describe(rule, () => {
    for (const [machine, registeredFrom, withToken, tokenless] of rows) {
      test(`${machine}, from ${registeredFrom}`, (t) => {
        const target = targetOf(t, machine, registeredFrom);
        assert.deepEqual(find(WITH_TOKEN, target).addresses, withToken, 'with a token');
        assert.deepEqual(find(TOKENLESS, target).addresses, tokenless, 'without a token');
      });
    }
  });
}

describe('never to the daemon itself', () => {
  const own: [machine: string, registeredFrom: string][] = [
    ['localhost', '127.0.0.1'],
    ['ubuntu', '10.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1%lo', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['::', '127.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['fe80::1%eth0', '10.0.0.1'],
    ['mine.example', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['nowhere', '10.0.0.1'],
  ];
  for (const [machine, registeredFrom] of own) {
    test(`${machine}, from ${registeredFrom}`, (t) => {
      for (const surroundings of [WITH_TOKEN, TOKENLESS]) {
        assert.equal(find(surroundings, targetOf(t, machine, registeredFrom, OWN_PORT)).addresses, THE_HYPIVISOR);
      }
    });
  }

  test('another machine’s same port is somebody else', (t) => {
    assert.deepEqual(find(TOKENLESS, targetOf(t, 'localhost', FAR, OWN_PORT)).addresses, [FAR]);
    assert.deepEqual(find(WITH_TOKEN, targetOf(t, 'mixed.example', '127.0.0.1', OWN_PORT)).addresses, ['10.0.0.7']);
  });
});

describe('another agent came from the same address with the same port', () => {
  const CANNOT_TELL = 'Cannot reach agent: another came from the same address and port, and they cannot be told apart';
  const vectors: [machine: string, registeredFrom: string, addresses: string[] | string][] = [
    // A guess.
    ['nowhere', FAR, CANNOT_TELL],
    ['', FAR, CANNOT_TELL],
    ['localhost', FAR, CANNOT_TELL],
    ['ubuntu', FAR, CANNOT_TELL],
    ['127.0.0.1', FAR, CANNOT_TELL],
    ['10.0.0.1', FAR, CANNOT_TELL],
    ['mine.example', FAR, CANNOT_TELL],
    // One address of two is a guess: the other is what the agent said.
    ['mixed.example', FAR, ['10.0.0.7']],
    // None.
    ['laptop', FAR, [FAR]],
    ['10.0.0.9', FAR, ['10.0.0.9']],
    ['ubuntu', '127.0.0.1', ['127.0.0.1', '::1']],
    ['10.0.0.1', '10.0.0.1', ['10.0.0.1']],
  ];
  for (const [machine, registeredFrom, addresses] of vectors) {
    test(`${machine || 'no name'}, from ${registeredFrom}`, (t) => {
      assert.deepEqual(find(WITH_TOKEN, targetOf(t, machine, registeredFrom, PORT, true)).addresses, addresses);
    });
  }
});

describe('judged when it registered', () => {
  const registrant = { address: '127.0.0.1', isHere: true, namesHere: true };

  test('a laptop that is called otherwise now still has its agents', () => {
    const target = { machine: 'the-name-at-home', port: PORT, registrant, hasDouble: false, wayBack: null };
    assert.deepEqual(find(TOKENLESS, target), { addresses: ['127.0.0.1', '::1'], lookUps: [] });
  });

  test('also those that registered while it had no name', () => {
    const target = { machine: '', port: PORT, registrant, hasDouble: false, wayBack: null };
    assert.deepEqual(find(TOKENLESS, target), { addresses: ['127.0.0.1', '::1'], lookUps: [] });
  });

  test('one from elsewhere does not become one of this machine by its name', () => {
    const elsewhere = { address: FAR, isHere: false, namesHere: false };
    const target = { machine: 'ubuntu', port: PORT, registrant: elsewhere, hasDouble: false, wayBack: null };
    assert.deepEqual(find(TOKENLESS, target), { addresses: [FAR], lookUps: ['ubuntu'] });
  });
});

describe('looking up', () => {
  test('one look-up for a name, as it was given', (t) => {
    assert.deepEqual(find(WITH_TOKEN, targetOf(t, 'multi.example', FAR)).lookUps, ['multi.example']);
    assert.deepEqual(find(WITH_TOKEN, targetOf(t, 'nowhere', FAR)).lookUps, ['nowhere']);
  });

  test('none for what needs none', (t) => {
    for (const machine of [
      'localhost',
      'ubuntu',
      '127.0.0.1',
      '[::1]',
      '10.0.0.9',
      '::ffff:10.0.0.5',
      'fe80::5%eth0',
    ]) {
      assert.deepEqual(find(WITH_TOKEN, targetOf(t, machine, FAR)).lookUps, [], machine);
    }
  });

  test('no answer in time: as for a name that does not resolve', (t) => {
    assert.deepEqual(addressesOfName(targetOf(t, 'slow', FAR), WITH_TOKEN, null), [FAR]);
    assert.throws(() => addressesOfName(targetOf(t, 'slow', '127.0.0.1'), WITH_TOKEN, null), {
      name: 'DialError',
      message: 'Cannot resolve agent: timed out',
    });
  });

  test('with the system’s resolver: numbers that are loopback in disguise reach no other loopback', async (t) => {
    for (const machine of ['0', '2130706433', '0177.0.0.1', '0x7f000001', '127.1', '::ffff:127.0.0.1']) {
      const target = targetOf(t, machine, FAR);
      const found = await lookup(machine, { all: true }).then(
        (found) => found.map(({ address }) => address),
        () => [],
      );
      const addresses = addressesOf(target, WITH_TOKEN) ?? addressesOfName(target, WITH_TOKEN, found);
      assert.deepEqual(addresses, [FAR], machine);
    }
  });
});

test('a program is next door if it came from this machine and named it', () => {
  for (const isHere of [true, false]) {
    for (const namesHere of [true, false]) {
      const registrant = { address: '127.0.0.1', isHere, namesHere };
      const target = { machine: 'ubuntu', port: PORT, registrant, hasDouble: false, wayBack: null };
      assert.equal(isNextDoor(target), isHere && namesHere);
    }
  }
});
