import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addFiles, sizeOf } from '../../src/dashboard/chat/attachments.ts';
import { AGENT_LIMITS } from '../../src/protocol/agent.ts';

const file = (filename: string, bytes: number) => ({ filename, data: 'A'.repeat(Math.ceil((bytes * 4) / 3)) });

describe('addFiles', () => {
  it('takes as much as an agent does, on both sides of the limit', () => {
    const full = file('full.bin', AGENT_LIMITS.attachmentBytes);
    assert.equal(sizeOf(full), AGENT_LIMITS.attachmentBytes);
    assert.deepEqual(addFiles([], [full]), { files: [full], problem: null });
    const { files, problem } = addFiles([full], [file('more.txt', 1), file('empty.txt', 0)]);
    assert.deepEqual(
      files.map(({ filename }) => filename),
      ['full.bin', 'empty.txt'],
    );
    assert.equal(problem, 'more.txt does not fit: the files of one prompt may have 10 MB together.');
  });

  it('gives each a name of its own, for agents answer by name', () => {
    const named = (...names: string[]) =>
      addFiles(
        [],
        names.map((name) => file(name, 1)),
      ).files.map(({ filename }) => filename);
    assert.deepEqual(named('a.png', 'a.png', 'a.png'), ['a.png', 'a-2.png', 'a-3.png']);
    assert.deepEqual(named('Makefile', 'Makefile', '.env', '.env'), ['Makefile', 'Makefile-2', '.env', '.env-2']);
    assert.deepEqual(named('a-2.png', 'a.png', 'a.png'), ['a-2.png', 'a.png', 'a-3.png']);
  });
});
