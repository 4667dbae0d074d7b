import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isToken } from '../../src/http/grammar.ts';
import {
  DELTA_SUBPROTOCOL,
  deltaSubprotocols,
  readResume,
  SUBPROTOCOL,
  subprotocols,
  TOKEN_SUBPROTOCOL_PREFIX,
  withoutTokens,
} from '../../src/protocol/subprotocol.ts';

const TOKENS = ['a', 'abc+123', 'a+b =&%#/é', '日本語', '\u{1F511}', '~?>~?>', 'x'.repeat(3000)];

describe('subprotocols', () => {
  it('is the plain one alone without a token', () => {
    assert.deepEqual(subprotocols(null), [SUBPROTOCOL]);
    assert.deepEqual(subprotocols(''), [SUBPROTOCOL]);
  });

  it('has the plain one first, for a server that picks the first', () => {
    for (const token of TOKENS) {
      assert.equal(subprotocols(token)[0], SUBPROTOCOL);
      assert.equal(deltaSubprotocols(token, null)[0], SUBPROTOCOL);
    }
  });

  it('carries any token as base64url of its UTF-8', () => {
    const carries = (token: string) => {
      const [, entry] = subprotocols(token) as [string, string];
      assert.ok(isToken(entry), entry);
      assert.equal(entry, TOKEN_SUBPROTOCOL_PREFIX + Buffer.from(token).toString('base64url'));
      assert.deepEqual(withoutTokens(subprotocols(token)), [SUBPROTOCOL]);
    };
    TOKENS.forEach(carries);
    fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }), carries));
  });
});

describe('deltaSubprotocols', () => {
  it('offers deltas after the plain one', () => {
    assert.deepEqual(deltaSubprotocols(null, null), [SUBPROTOCOL, DELTA_SUBPROTOCOL]);
  });

  it('offers where to resume from, and the token last', () => {
    assert.deepEqual(deltaSubprotocols('key', { epoch: 'a1B2', seq: 42 }), [
      'hypi.v1',
      'hypi.delta.v1',
      'hypi.resume.a1B2.42',
      'hypi.token.a2V5',
    ]);
  });

  it('is read back, whatever stands beside it', () => {
    const epoch = fc.stringMatching(/^[A-Za-z0-9]{1,32}$/);
    fc.assert(
      fc.property(epoch, fc.nat(), fc.option(fc.string()), (epoch, seq, token) => {
        assert.deepEqual(readResume(deltaSubprotocols(token, { epoch, seq })), { epoch, seq });
        assert.ok(deltaSubprotocols(token, { epoch, seq }).every(isToken));
      }),
    );
  });
});

describe('readResume', () => {
  const senseless = [
    'hypi.resume.',
    'hypi.resume.a',
    'hypi.resume.a.',
    'hypi.resume..1',
    'hypi.resume.a.-1',
    'hypi.resume.a.1.2',
    'hypi.resume.a.1e3',
    'hypi.resume.a-b.1',
    'hypi.resume.a.1234567890123456',
    `hypi.resume.${'a'.repeat(33)}.1`,
    'xhypi.resume.a.1',
    'hypi.resume.a.1 ',
  ];
  for (const entry of senseless) {
    it(`takes ${JSON.stringify(entry)} for none`, () => {
      assert.equal(readResume([SUBPROTOCOL, entry]), null);
      assert.deepEqual(readResume([entry, 'hypi.resume.b.2']), { epoch: 'b', seq: 2 });
    });
  }

  it('is null if nothing is offered', () => {
    assert.equal(readResume([]), null);
    assert.equal(readResume([SUBPROTOCOL, DELTA_SUBPROTOCOL]), null);
  });

  it('takes both ends of what an epoch and a number may be', () => {
    const epoch = 'z'.repeat(32);
    assert.deepEqual(readResume([`hypi.resume.${epoch}.999999999999999`]), { epoch, seq: 999_999_999_999_999 });
    assert.deepEqual(readResume(['hypi.resume.0.0']), { epoch: '0', seq: 0 });
  });
});
