import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AttachmentProblem, contentOf } from '../../src/agent/attachment.ts';
import type { TextPart } from '../../src/protocol/agent.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const PIXEL = base64('\x89PNG…');

describe('contentOf', () => {
  it('is the text alone if no file comes with it', () => {
    assert.equal(contentOf('hello', []), 'hello');
  });

  it('puts text files behind the text, and pictures as pictures', () => {
    const content = contentOf('look', [
      { filename: 'notes.md', data: base64('# Notes é') },
      { filename: 'a.PNG', data: PIXEL },
      { filename: 'photo', data: PIXEL, mimeType: 'image/jpeg' },
    ]);
    assert.deepEqual(content, [
      {
        type: 'text',
        text: 'look\n<file name="notes.md">\n# Notes é\n</file>\n<file name="a.PNG"></file>\n<file name="photo"></file>',
      },
      { type: 'image', data: PIXEL, mimeType: 'image/png' },
      { type: 'image', data: PIXEL, mimeType: 'image/jpeg' },
    ]);
  });

  it('needs no text beside a file', () => {
    assert.deepEqual(contentOf(' ', [{ filename: 'a.txt', data: base64('x') }]), [
      { type: 'text', text: '<file name="a.txt">\nx\n</file>' },
    ]);
  });

  it('takes nothing of a name but the name', () => {
    const [first] = contentOf('', [{ filename: '../../etc/"<x>\n\u0000', data: '' }]);
    const { text } = first as TextPart;
    assert.equal(text, '<file name="__x___">\n\n</file>');
    assert.throws(() => contentOf('', [{ filename: 'folder/', data: '' }]), AttachmentProblem);
  });

  it('takes base64 with its padding and without', () => {
    for (const data of ['QQ==', 'QQ', 'QUI=', 'QUI', 'QUJD', '']) contentOf('', [{ filename: 'a.txt', data }]);
    for (const data of ['Q', 'QQ=', 'Q===', 'QQ==QQ==', 'Q-_B', 'Q Q=', 'QQ==\n']) {
      assert.throws(() => contentOf('', [{ filename: 'a.txt', data }]), AttachmentProblem, data);
    }
  });

  it('refuses what is neither text nor a picture', () => {
    const binary = Buffer.from([0xff, 0xfe, 0x41]).toString('base64');
    for (const data of [binary, base64('a\0b')]) {
      assert.throws(() => contentOf('', [{ filename: 'a.bin', data }]), /neither a picture/);
    }
    assert.throws(() => contentOf('', [{ filename: 'a.png', data: binary, mimeType: 'application/pdf' }]), /neither/);
    assert.throws(() => contentOf('', [{ filename: 'a.svg', data: binary, mimeType: 'image/svg+xml' }]), /neither/);
  });

  it('takes 10 MB of files together, and not a byte more', () => {
    const half = { filename: 'a.png', data: Buffer.alloc(5 * 1024 * 1024).toString('base64') };
    assert.ok(Array.isArray(contentOf('', [half, half])));
    const more = { filename: 'b.txt', data: 'QQ==' };
    assert.throws(() => contentOf('', [half, half, more]), /at most 10 MB/);
  });
});
