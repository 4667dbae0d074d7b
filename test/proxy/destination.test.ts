import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { describe, test } from 'node:test';
import { findDestination, type Locality } from '../../src/proxy/destination.ts';
import { DialError } from '../../src/proxy/error.ts';

const PORT = 8080;
const OWN_PORT = 31_415;

/** The daemon's machine, called ubuntu, at 10.0.0.1. */
const WITH_TOKEN: Locality = {
  hostName: 'ubuntu',
  ownAddresses: new Set(['127.0.0.1', '::1', '10.0.0.1', '2001:db8::1', 'fe80::1', 'fe80::1%eth0']),
  ownPorts: new Set([OWN_PORT]),
  onlyWhereRegistered: false,
};
const TOKENLESS: Locality = { ...WITH_TOKEN, onlyWhereRegistered: true };

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

const TOKEN_FAR = '10.0.0.5';
const CANNOT_RESOLVE = 'Cannot resolve agent: its machine name is unknown here';
const ONLY_WHERE_REGISTERED = 'Cannot reach agent: without a token, only where it registered from';
const THE_HYPIVISOR = 'Cannot reach agent: its address is the hypivisor itself';

interface Outcome {
  addresses: string[] | string;
  lookUps: string[];
}

async function find(locality: Locality, machine: string, registeredFrom: string, port = PORT): Promise<Outcome> {
  const lookUps: string[] = [];
  const lookUp = async (name: string) => {
    lookUps.push(name);
    return NAMES[name] ?? [];
  };
  try {
    return { addresses: await findDestination({ machine, port, registeredFrom }, locality, lookUp), lookUps };
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

for (const [rule, rows] of Object.entries(vectors)) {
  test('no name at all: nobody is asked, and it is where the agent came from', async () => {
    assert.deepEqual(await find(WITH_TOKEN, '', TOKEN_FAR), { addresses: [TOKEN_FAR], lookUps: [] });
    assert.deepEqual(await find(WITH_TOKEN, '', '127.0.0.1'), { addresses: CANNOT_RESOLVE, lookUps: [] });
  });

  describe(rule, () => {
    for (const [machine, registeredFrom, withToken, tokenless] of rows) {
      test(`${machine}, from ${registeredFrom}`, async () => {
        assert.deepEqual((await find(WITH_TOKEN, machine, registeredFrom)).addresses, withToken, 'with a token');
        assert.deepEqual((await find(TOKENLESS, machine, registeredFrom)).addresses, tokenless, 'without a token');
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
    test(`${machine}, from ${registeredFrom}`, async () => {
      for (const locality of [WITH_TOKEN, TOKENLESS]) {
        assert.equal((await find(locality, machine, registeredFrom, OWN_PORT)).addresses, THE_HYPIVISOR);
      }
    });
  }

  test('another machine’s same port is somebody else', async () => {
    assert.deepEqual((await find(TOKENLESS, 'localhost', '10.0.0.5', OWN_PORT)).addresses, ['10.0.0.5']);
    assert.deepEqual((await find(WITH_TOKEN, 'mixed.example', '127.0.0.1', OWN_PORT)).addresses, ['10.0.0.7']);
  });
});

describe('looking up', () => {
  test('one look-up for a name, as it was given', async () => {
    assert.deepEqual((await find(WITH_TOKEN, 'multi.example', '10.0.0.5')).lookUps, ['multi.example']);
    assert.deepEqual((await find(WITH_TOKEN, 'nowhere', '10.0.0.5')).lookUps, ['nowhere']);
  });

  test('none for what needs none', async () => {
    for (const machine of [
      'localhost',
      'ubuntu',
      '127.0.0.1',
      '[::1]',
      '10.0.0.9',
      '::ffff:10.0.0.5',
      'fe80::5%eth0',
    ]) {
      assert.deepEqual((await find(WITH_TOKEN, machine, TOKEN_FAR)).lookUps, [], machine);
    }
  });

  test('what goes wrong in it is passed on', async () => {
    const lookUp = () => Promise.reject(new DialError('Cannot resolve agent: timed out'));
    const target = { machine: 'laptop', port: PORT, registeredFrom: '10.0.0.5' };
    await assert.rejects(findDestination(target, WITH_TOKEN, lookUp), /Cannot resolve agent: timed out/);
  });

  test('with the system’s resolver: numbers that are loopback in disguise reach nobody else’s loopback', async () => {
    for (const machine of ['0', '2130706433', '0177.0.0.1', '0x7f000001', '127.1', '::ffff:127.0.0.1']) {
      const lookUp = (name: string) =>
        lookup(name, { all: true }).then(
          (found) => found.map(({ address }) => address),
          () => [],
        );
      const target = { machine, port: PORT, registeredFrom: '10.0.0.5' };
      assert.deepEqual(await findDestination(target, WITH_TOKEN, lookUp), ['10.0.0.5'], machine);
    }
  });
});
