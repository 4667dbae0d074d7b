import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crumbsOf, join, newFolderProblem } from '../../src/dashboard/state/browse.ts';
import { bytes, count, dollars, duration, percent, plural } from '../../src/dashboard/state/format.ts';
import { fit } from '../../src/dashboard/state/fuzzy.ts';
import { agentOf, hashOf, takeToken } from '../../src/dashboard/state/place.ts';

describe('the place in the address', () => {
  it('is read as it was written, for any id', () => {
    for (const id of ['a', 'a/b', '%', 'ü ?#&', '..', '<img src=x>']) assert.equal(agentOf(hashOf(id)), id);
    assert.equal(agentOf(hashOf(null)), null);
  });

  it('is the roster if the address names no valid place', () => {
    for (const hash of ['', '#', '#/', '#/agent/', '#agent', '#/other/x']) assert.equal(agentOf(hash), null);
    assert.equal(agentOf('#/agent/%zz'), '%zz');
  });
});

describe('a token in the address', () => {
  it('is taken out of it, behind the # or in the query', () => {
    const cases: [string, string | null, string][] = [
      ['http://h/#token=a%2Bb', 'a+b', 'http://h/#'],
      ['http://h/#/agent/x&token=s', 's', 'http://h/#/agent/x'],
      ['http://h/p/?token=a%20b', 'a b', 'http://h/p/'],
      ['http://h/?x=1&token=s&y=2#/agent/x', 's', 'http://h/?x=1&y=2#/agent/x'],
      ['http://h/#token=%zz', '%zz', 'http://h/#'],
      ['http://h/#token=', null, 'http://h/#'],
      ['http://h/#/agent/token', null, 'http://h/#/agent/token'],
      ['http://h/', null, 'http://h/'],
    ];
    for (const [address, token, rest] of cases) {
      const taken = takeToken(address);
      assert.deepEqual([taken.token, taken.address.replace(/#$/, '')], [token, rest.replace(/#$/, '')], address);
    }
  });
});

describe('folders', () => {
  it('are shown from the home folder down', () => {
    assert.deepEqual(crumbsOf('/home/me', '/home/me/a/b'), [
      { name: '~', path: '/home/me' },
      { name: 'a', path: '/home/me/a' },
      { name: 'b', path: '/home/me/a/b' },
    ]);
    assert.equal(crumbsOf('/home/me', '/home/me').length, 1);
    assert.equal(crumbsOf('/home/me', '/home/meow').length, 1);
    assert.deepEqual([join('/a', 'b'), join('/', 'b')], ['/a/b', '/b']);
  });

  it('may be made here, or below, and nowhere else', () => {
    for (const name of ['', ' ', 'a', 'a/b', 'a b', '..a']) assert.equal(newFolderProblem(name), null, name);
    for (const name of ['/a', '~', '~/a', '..', 'a/../..', 'C:\\x', '\\x'])
      assert.notEqual(newFolderProblem(name), null, name);
  });
});

describe('figures', () => {
  it('are short', () => {
    assert.deepEqual([0, 1, 59, 60, 3599, 3600, 172_799, 172_800].map(duration), [
      'now',
      '1s',
      '59s',
      '1m',
      '59m',
      '1h',
      '47h',
      '2d',
    ]);
    assert.deepEqual([-5].map(duration), ['now']);
    assert.deepEqual([0, 999, 1000, 1250, 9999, 47_300, 1_550_000].map(count), [
      '0',
      '999',
      '1k',
      '1.2k',
      '9.9k',
      '47k',
      '1.5M',
    ]);
    assert.deepEqual([0, 0.012, 0.42, 12].map(dollars), ['$0.00', '$0.012', '$0.42', '$12.00']);
    assert.deepEqual([999, 1500, 25_000, 2_300_000].map(bytes), ['999 B', '1.5 kB', '25 kB', '2.3 MB']);
    assert.deepEqual([percent(1, 3), percent(1, 0)], ['33%', '']);
    assert.deepEqual([plural(1, 'agent'), plural(2, 'agent')], ['1 agent', '2 agents']);
  });
});

describe('the texts that fit a query', () => {
  const best = (query: string, ...texts: string[]) =>
    texts
      .map((text) => ({ text, score: fit(query, text) }))
      .filter(({ score }) => score !== null)
      .sort((a, b) => (b.score as number) - (a.score as number))
      .map(({ text }) => text);

  it('has all letters in order, those at the beginnings of words first', () => {
    assert.deepEqual(best('sa', 'Stop all', 'message', 'Settings', 'xyz'), ['Stop all', 'message']);
    assert.deepEqual(best('api', 'a nice pi', 'api'), ['api', 'a nice pi']);
    assert.equal(fit('abc', 'acb'), null);
    assert.notEqual(fit('', 'anything'), null);
  });
});
