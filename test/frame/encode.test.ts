import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeCloseFrame, encodeFrame, encodeText } from '../../src/frame/encode.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { masked, rawFrame, readFrames } from '../support/raw-frame.ts';

const hello = Buffer.from('Hello');

/** The frame without what is random in it: its masking key, which is returned apart, and the mask. */
function unmask(frame: Buffer): { bare: Buffer; maskingKey: Buffer } {
  const length = frame.readUInt8(1) & 0x7f;
  const at = length < 126 ? 2 : length === 126 ? 4 : 10;
  const maskingKey = frame.subarray(at, at + 4);
  const bare = Buffer.concat([frame.subarray(0, at), masked(frame.subarray(at + 4), maskingKey)]);
  bare.writeUInt8(bare.readUInt8(1) & 0x7f, 1);
  return { bare, maskingKey };
}

describe('encodeFrame, as a server', () => {
  // The examples of RFC 6455, 5.7, that a server sends.
  it('5.7: a single-frame unmasked text message', () => {
    assert.equal(encodeFrame('server', Opcode.TEXT, hello).toString('hex'), '810548656c6c6f');
  });

  it('5.7: a fragmented unmasked text message', () => {
    assert.equal(encodeFrame('server', Opcode.TEXT, Buffer.from('Hel'), false).toString('hex'), '010348656c');
    assert.equal(encodeFrame('server', Opcode.CONTINUATION, Buffer.from('lo')).toString('hex'), '80026c6f');
  });

  it('5.7: an unmasked ping request', () => {
    assert.equal(encodeFrame('server', Opcode.PING, hello).toString('hex'), '890548656c6c6f');
  });

  it('5.7: 256 bytes and 64 KiB of binary in a single unmasked frame', () => {
    const short = encodeFrame('server', Opcode.BINARY, Buffer.alloc(256, 1));
    assert.equal(short.toString('hex', 0, 5), '827e010001');
    assert.equal(short.length, 4 + 256);
    const long = encodeFrame('server', Opcode.BINARY, Buffer.alloc(65536, 1));
    assert.equal(long.toString('hex', 0, 11), '827f000000000001000001');
    assert.equal(long.length, 10 + 65536);
  });
});

describe('encodeFrame, as a client', () => {
  it('masks what a server would send, with a key that is not twice the same', () => {
    const keys = new Set<string>();
    for (const length of [0, 1, 5, 125, 126, 65535, 65536]) {
      const payload = Buffer.alloc(length, 'abc');
      for (const opcode of [Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION]) {
        for (const fin of [true, false]) {
          const { bare, maskingKey } = unmask(encodeFrame('client', opcode, payload, fin));
          assert.ok(bare.equals(encodeFrame('server', opcode, payload, fin)));
          keys.add(maskingKey.toString('hex'));
        }
      }
    }
    assert.equal(keys.size, 7 * 3 * 2);
  });

  it('leaves the payload it was given as it was', () => {
    const payload = Buffer.alloc(300, 'payload');
    const before = Buffer.from(payload);
    encodeFrame('client', Opcode.BINARY, payload);
    assert.ok(payload.equals(before));
  });
});

for (const side of ['server', 'client'] satisfies Side[]) {
  describe(`control frames of a ${side} (RFC 6455, 5.5)`, () => {
    it('have at most 125 bytes, and are not fragmented', () => {
      for (const opcode of [Opcode.CLOSE, Opcode.PING, Opcode.PONG]) {
        assert.equal(readFrames(encodeFrame(side, opcode, Buffer.alloc(125)))[0]?.payload.length, 125);
        assert.throws(() => encodeFrame(side, opcode, Buffer.alloc(126)), RangeError);
        assert.throws(() => encodeFrame(side, opcode, Buffer.alloc(0), false), RangeError);
      }
    });
  });

  describe(`encodeText, as a ${side}`, () => {
    const TEXTS = ['', 'Hello', 'é', 'Grüße', '€', '😀', 'a'.repeat(125), 'a'.repeat(126), 'é'.repeat(63)];
    TEXTS.push('a'.repeat(65535), 'a'.repeat(65536), `${'é'.repeat(32767)}a`, '日本語'.repeat(8000));
    it('makes one text frame of UTF-8, in the shortest form by its bytes', () => {
      for (const text of TEXTS) {
        const frame = encodeText(side, text);
        const bare = side === 'client' ? unmask(frame).bare : frame;
        assert.ok(bare.equals(rawFrame({ opcode: Opcode.TEXT, payload: text })), text.slice(0, 20));
      }
    });

    it('8.1: sends a lone surrogate as U+FFFD', () => {
      for (const text of ['\ud800', 'a\udfffb', '\ud83d']) {
        const [frame] = readFrames(encodeText(side, text));
        assert.equal(frame?.payload.toString(), text.replace(/\p{Surrogate}/u, '\ufffd'));
      }
    });
  });

  describe(`encodeCloseFrame, as a ${side}`, () => {
    it('carries a code and a reason, or nothing', () => {
      const payloads = [encodeCloseFrame(side, 1000), encodeCloseFrame(side, 4000, 'bye'), encodeCloseFrame(side, 1005)]
        .flatMap(readFrames)
        .map(({ opcode, payload }) => [opcode, payload.toString('hex')]);
      assert.deepEqual(payloads, [
        [Opcode.CLOSE, '03e8'],
        [Opcode.CLOSE, '0fa0627965'],
        [Opcode.CLOSE, ''],
      ]);
    });

    it('refuses what encodeClose refuses', () => {
      assert.throws(() => encodeCloseFrame(side, 1006), RangeError);
      assert.throws(() => encodeCloseFrame(side, 1000, 'a'.repeat(124)), RangeError);
    });
  });
}
