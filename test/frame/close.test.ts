import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeClose, encodeClose, isValidCloseCode, MAX_CLOSE_REASON_BYTES } from '../../src/frame/close.ts';
import { CloseCode } from '../../src/frame/vocabulary.ts';

/** RFC 6455, 7.4.1 and 7.4.2, with the codes registered since (1012 to 1014). */
function mayTravel(closeCode: number): boolean {
  if ([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(closeCode)) return true;
  return closeCode >= 3000 && closeCode <= 4999;
}

function payloadOf(closeCode: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.from([closeCode >> 8, closeCode & 0xff]), Buffer.from(reason)]);
}

describe('isValidCloseCode (RFC 6455, 7.4)', () => {
  it('knows all 65,536 numbers that a close frame can carry', () => {
    for (let closeCode = 0; closeCode <= 0xffff; closeCode++) {
      assert.equal(isValidCloseCode(closeCode), mayTravel(closeCode), `${closeCode}`);
    }
  });

  it('takes no number that it cannot', () => {
    for (const closeCode of [-1, 65536, 66536, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(isValidCloseCode(closeCode), false);
    }
  });
});

describe('decodeClose (RFC 6455, 5.5.1)', () => {
  it('7.1.5: no payload is 1005', () => {
    assert.deepEqual(decodeClose(Buffer.alloc(0)), { closeCode: CloseCode.NO_STATUS, closeReason: '' });
  });

  it('refuses one byte', () => {
    assert.throws(() => decodeClose(Buffer.from([3])), { closeCode: 1002, message: 'close payload is one byte' });
  });

  it('reads the code in network byte order, and no reason', () => {
    assert.deepEqual(decodeClose(Buffer.from('03e8', 'hex')), { closeCode: 1000, closeReason: '' });
    assert.deepEqual(decodeClose(Buffer.from('1387', 'hex')), { closeCode: 4999, closeReason: '' });
  });

  it('reads a reason of up to 123 bytes', () => {
    for (const closeReason of ['bye', 'auf Wiederhören', 'a'.repeat(MAX_CLOSE_REASON_BYTES)]) {
      assert.deepEqual(decodeClose(payloadOf(1001, closeReason)), { closeCode: 1001, closeReason });
    }
  });

  it('7.4.1: refuses every code that must not travel', () => {
    for (const closeCode of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) {
      assert.throws(() => decodeClose(payloadOf(closeCode)), { closeCode: 1002, message: 'close code is not allowed' });
    }
  });

  it('8.1: refuses a reason that is not UTF-8', () => {
    for (const hex of ['80', 'c3', 'eda080', 'f4908080']) {
      assert.throws(() => decodeClose(payloadOf(1000, Buffer.from(hex, 'hex'))), {
        closeCode: 1007,
        message: 'close reason is not UTF-8',
      });
    }
  });
});

describe('encodeClose (RFC 6455, 5.5.1)', () => {
  it('makes nothing of 1005, which never travels', () => {
    assert.equal(encodeClose(CloseCode.NO_STATUS).length, 0);
  });

  it('is read back as it was', () => {
    for (const closeReason of ['', 'bye', 'auf Wiederhören', '😀']) {
      for (const closeCode of [1000, 1014, 3000, 4999]) {
        assert.deepEqual(decodeClose(encodeClose(closeCode, closeReason)), { closeCode, closeReason });
      }
    }
  });

  it('refuses every code that must not travel', () => {
    for (const closeCode of [0, 999, 1004, 1006, 1015, 2999, 5000, 65536 + 1000]) {
      assert.throws(() => encodeClose(closeCode), new RangeError(`close code ${closeCode} may not be sent`));
    }
  });

  it('counts the reason in bytes of UTF-8: 123, not 124', () => {
    assert.equal(encodeClose(1000, `${'é'.repeat(61)}a`).length, 125);
    assert.throws(() => encodeClose(1000, 'é'.repeat(62)), new RangeError('close reason is over 123 bytes'));
    assert.equal(encodeClose(1000, 'a'.repeat(123)).length, 125);
    assert.throws(() => encodeClose(1000, 'a'.repeat(124)), RangeError);
  });

  it('sends a lone surrogate as U+FFFD, for the reason must be UTF-8', () => {
    assert.deepEqual(decodeClose(encodeClose(1000, 'a\ud800b')), { closeCode: 1000, closeReason: 'a\ufffdb' });
  });
});
