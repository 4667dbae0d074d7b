import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { highlight, MAX_HIGHLIGHTED_CHARACTERS, MAX_HIGHLIGHTED_LINE } from '../../src/dashboard/chat/highlight.ts';
import { describeCall, diffOf, duration, languageOf, partialField } from '../../src/dashboard/chat/tool.ts';

const kindsOf = (text: string, language: string) =>
  Object.fromEntries(
    (highlight(text, language) ?? [])
      .filter(({ kind }) => kind !== null)
      .map(({ text: piece, kind }) => [piece.trim(), kind]),
  );

describe('highlight', () => {
  it('gives pieces their kinds, and loses nothing of the text', () => {
    const code = "// why\nconst a: number = f('x', 1);\n";
    const kinds = kindsOf(code, 'ts');
    assert.equal(kinds['// why'], 'comment');
    assert.equal(kinds.const, 'keyword');
    assert.equal(kinds.f, 'function');
    assert.equal(kinds["'x'"], 'string');
    assert.equal(kinds['1'], 'number');
    assert.equal(
      highlight(code, 'ts')
        ?.map(({ text }) => text)
        .join(''),
      code,
    );
  });

  for (const [language, code] of Object.entries({
    bash: 'echo "$HOME" # x',
    console: 'ls',
    python: 'def f(): pass',
    json: '{"a": 1}',
    rust: 'fn main() {}',
    go: 'func f() {}',
    c: 'int a;',
    cpp: 'class A {};',
    java: 'class A {}',
    kotlin: 'fun f() {}',
    cs: 'class A {}',
    swift: 'func f() {}',
    ruby: 'def f; end',
    php: '<?php echo 1;',
    sql: 'SELECT 1',
    yaml: 'a: 1',
    toml: 'a = 1',
    ini: '[a]',
    dockerfile: 'FROM x',
    makefile: 'a: b',
    md: '# a',
    lua: 'local a = 1',
    diff: '+a\n-b',
    html: '<a href="b">',
    css: 'a { b: c }',
    tsx: 'const a = <b />;',
  })) {
    it(`knows ${language}`, () => assert.ok((highlight(code, language)?.length ?? 0) > 0));
  }

  it('knows no other name, not even those that any object has', () => {
    for (const name of ['', 'nonsense', 'constructor', '__proto__', 'extend', 'insertBefore', 'DFS', 'toString']) {
      assert.equal(highlight('a', name), null, name);
    }
  });

  it('leaves texts and lines that are too long, on both sides of the limits', () => {
    const line = 'a'.repeat(MAX_HIGHLIGHTED_LINE);
    assert.notEqual(highlight(line, 'js'), null);
    assert.equal(highlight(`${line}a`, 'js'), null);
    const full = 'a\n'.repeat(MAX_HIGHLIGHTED_CHARACTERS / 2);
    assert.notEqual(highlight(full, 'js'), null);
    assert.equal(highlight(`${full}\n`, 'js'), null);
  });
});

describe('describeCall', () => {
  const subject = (name: string, args: unknown, cwd: string | null = '/work/app') => {
    const call = describeCall(name, args, cwd);
    return [call.kind, call.subject, call.detail];
  };
  it('says what distinguishes a call', () => {
    assert.deepEqual(subject('bash', { command: 'npm test' }), ['bash', 'npm test', '']);
    assert.deepEqual(subject('read', { path: '/work/app/src/a.ts', offset: 10, limit: 5 }), [
      'read',
      'src/a.ts',
      'lines 10–14',
    ]);
    assert.deepEqual(subject('Read', { file_path: '/elsewhere/a.ts', offset: 3 }), [
      'read',
      '/elsewhere/a.ts',
      'from line 3',
    ]);
    assert.deepEqual(subject('grep', { pattern: 'x', path: '/work/app/src' }), ['search', 'x', 'src']);
    assert.deepEqual(subject('ls', {}), ['search', '.', '']);
    assert.deepEqual(subject('fetch_page', { depth: 1, url: 'https://example.org' }), [
      'other',
      'https://example.org',
      '',
    ]);
  });
  it('takes any arguments', () => {
    for (const args of [null, undefined, 'text', 7, [], { command: 7, path: {} }]) {
      for (const name of ['bash', 'read', 'edit', 'x', '__proto__', 'constructor'])
        assert.equal(describeCall(name, args, null).kind.length > 0, true);
    }
  });
});

describe('diffOf', () => {
  it('prefers the tool’s own report', () => {
    const [removed] = diffOf({ oldText: 'a', newText: 'b' }, { diff: '-12 a\n+12 b' })?.rows ?? [];
    assert.ok(removed?.kind === 'removed' && removed.before === 12);
  });
  it('otherwise reads the arguments, of any version', () => {
    for (const args of [
      { oldText: 'a', newText: 'b' },
      { old_string: 'a', new_string: 'b' },
      { edits: [{ oldText: 'a', newText: 'b' }] },
    ]) {
      const diff = diffOf(args, { diff: 'not one' });
      assert.deepEqual([diff?.added, diff?.removed], [1, 1]);
    }
    assert.equal(diffOf({ path: 'a' }, null), null);
    assert.equal(diffOf(null, 7), null);
  });
});

describe('partialField', () => {
  it('reads a string whose JSON is still being written, at every end', () => {
    const json = JSON.stringify({ path: 'a.ts', command: 'echo "hi"\n\tü \u2028 \\' });
    let longest = '';
    for (let end = 0; end <= json.length; end++) {
      const value = partialField(json.slice(0, end), 'command');
      if (value !== null) {
        assert.ok('echo "hi"\n\tü \u2028 \\'.startsWith(value), JSON.stringify(value));
        longest = value;
      }
    }
    assert.equal(longest, 'echo "hi"\n\tü \u2028 \\');
    assert.equal(partialField('{"x": 1', 'command'), null);
    assert.equal(partialField('{"file_path": "b', 'path', 'file_path'), 'b');
  });
});

describe('languageOf and duration', () => {
  it('read names', () => {
    assert.deepEqual(['src/a.TS', 'Dockerfile', 'a/Makefile', 'none', '.bashrc'].map(languageOf), [
      'ts',
      'docker',
      'makefile',
      '',
      'bashrc',
    ]);
  });
  it('are short', () => {
    assert.equal(duration(4_900, true), '4 s', 'what is counted each second has no tenths');
    assert.deepEqual(
      [-5, 400, 9_949, 10_000, 59_999, 60_000, 200_000, 3_600_000, 7_500_000].map((ms) => duration(ms)),
      ['0.0 s', '0.4 s', '9.9 s', '10 s', '59 s', '1 min 0 s', '3 min 20 s', '1 h 0 min', '2 h 5 min'],
    );
  });
});
