import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Block,
  MAX_INDENT,
  MAX_LINE_CHARACTERS,
  MAX_NESTING,
  MAX_WORD_CHARACTERS,
  type Parsed,
  parseMarkdown,
} from '../../src/dashboard/chat/markdown.ts';

const whole = (text: string) => parseMarkdown(text, undefined, true).blocks;

/** What kinds of blocks there are, by the names of marked's tokens. */
const kinds = (text: string) => whole(text).map((block) => (block.kind === 'prose' ? block.token.type : block.kind));

/** Parses as if the text had arrived in pieces that end at the given places. */
function streamed(text: string, ends: readonly number[]): Parsed {
  let parsed: Parsed | undefined;
  for (const end of ends) parsed = parseMarkdown(text.slice(0, end), parsed);
  return parseMarkdown(text, parsed, true);
}

const everyEnd = (text: string) => Array.from(text, (_, index) => index + 1);

const document = [
  '# Title\n\nA paragraph with *emphasis*, `code` and a [link](https://example.org).\nIts second line.\n\n',
  '- one\n- two\n  - nested\n\n- loose\n\n',
  '1. first\n\n2. second\n   ```sh\n   inside\n   ```\n3. third\n\n',
  '```ts\nconst a = 1;\n\n// ``` not a close\n```\n',
  'Heading\n=======\n\n',
  '| a | b |\n|---|:-:|\n| 1 | 2 |\n\n',
  '> quoted\nlazily\n\n> again\n\n',
  '---\n\n~~~~\n~~~\n~~~~\n\n    indented\n\n    code\n\n- [x] done\n- [ ] not\n',
].join('');

describe('parseMarkdown', () => {
  it('finds the blocks of a document', () => {
    assert.deepEqual(kinds(document), [
      ...['heading', 'paragraph', 'list', 'list', 'code', 'heading', 'table', 'blockquote', 'blockquote', 'hr', 'code'],
      ...['code', 'list'],
    ]);
  });

  it('keeps tags as text', () => {
    const text = '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> and <b>bold</b>\n\n<!-- hidden -->\n';
    assert.deepEqual(kinds(text), ['paragraph', 'paragraph', 'paragraph']);
    assert.ok(!JSON.stringify(whole(text)).includes('"type":"html"'));
    const raw = whole(text).map((block) => (block.kind === 'prose' ? block.token.raw.trim() : ''));
    assert.deepEqual(raw, text.trim().split('\n\n'));
  });

  it('gives fenced code its language, without what follows it', () => {
    const [block] = whole('```ts title="a.ts"\nlet a;\n```');
    assert.deepEqual(block, { kind: 'code', lang: 'ts', text: 'let a;', open: false });
    assert.deepEqual(whole('```{python}\nx\n```')[0], { kind: 'code', lang: '', text: 'x', open: false });
  });

  it('takes code that no fence closes as code, open', () => {
    assert.deepEqual(whole('```\nnever\nclosed'), [{ kind: 'code', lang: '', text: 'never\nclosed', open: true }]);
    assert.deepEqual(whole('```\n'), [{ kind: 'code', lang: '', text: '', open: true }]);
    assert.deepEqual(whole('```\n```'), [{ kind: 'code', lang: '', text: '', open: false }]);
  });

  it('closes a fence only with one as long, of its own kind', () => {
    assert.deepEqual(
      whole('````\n```\n~~~~\n`````\nafter').map((block) => block.kind),
      ['code', 'prose'],
    );
  });

  it('reads CR LF and CR as line ends, also cut in two', () => {
    const text = '# a\r\n\r\n- b\r\n- c\r\n\r\n```\r\nd\r\n```\r\ne\rf';
    assert.deepEqual(streamed(text, everyEnd(text)).blocks, whole(text.replace(/\r\n?/g, '\n')));
  });

  it('follows definitions in any place', () => {
    const text = 'See [the page][1].\n\n```\ncode\n```\n\nAnd [1].\n\n[1]: https://example.org "Title"\n';
    for (const blocks of [whole(text), streamed(text, everyEnd(text)).blocks]) {
      assert.equal(JSON.stringify(blocks).match(/"href":"https:\/\/example.org"/g)?.length, 2);
    }
  });
});

describe('parseMarkdown, as text arrives', () => {
  it('comes to the same blocks character by character, and cut in two at every place', () => {
    const expected = whole(document);
    assert.deepEqual(streamed(document, everyEnd(document)).blocks, expected);
    for (const end of everyEnd(document)) assert.deepEqual(streamed(document, [end]).blocks, expected, `cut at ${end}`);
  });

  it('comes to the same blocks for any text, cut anywhere', () => {
    const piece = fc.constantFrom(
      ...[
        '# ',
        'word',
        ' ',
        '\n',
        '\n\n',
        '- ',
        '* ',
        '1. ',
        '2',
        '. ',
        '> ',
        '```',
        '```js\n',
        '~~~',
        '`',
        '*',
        '**',
        '_',
        '[a](',
        ')',
        '|',
        '|-',
        '---',
        '===',
        '    ',
        '  ',
        '\t',
        '<b>',
        '</b>',
        '<!--',
        '\\',
        '&amp;',
        'http://a.b',
        '[x]',
        '~~',
        '+',
        ':',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(120), { maxLength: 12 }), (pieces, cuts) => {
        const text = pieces.join('');
        const ends = cuts.filter((cut) => cut < text.length).sort((a, b) => a - b);
        assert.deepEqual(streamed(text, ends).blocks, whole(text));
      }),
      { numRuns: 4000 },
    );
  });

  it('never makes a settled block anew', () => {
    let parsed: Parsed | undefined;
    let seen: readonly Block[] = [];
    for (const end of everyEnd(document)) {
      const next = parseMarkdown(document.slice(0, end), parsed);
      for (const [index, block] of seen.entries()) assert.equal(next.blocks[index], block, `block ${index} at ${end}`);
      seen = next.blocks.slice(0, next.settled);
      parsed = next;
    }
    assert.ok(seen.length > 8);
  });

  it('parses only the tail, however long the settled part is', () => {
    const before = parseMarkdown('A paragraph of some words.\n\n'.repeat(1000));
    assert.equal(before.blocks.length - before.settled, 1);
    assert.ok(before.source.length - before.tail < 40);
  });

  it('starts over if the text has changed', () => {
    const before = parseMarkdown('# One\n\nand more\n\nand more');
    assert.deepEqual(parseMarkdown('Two', before, true).blocks, whole('Two'));
  });
});

describe('parseMarkdown, on hostile text', () => {
  const plain = (line: string) => whole(`before\n${line}\nafter`).map((block) => block.kind);

  const limits: [string, (over: number) => string][] = [
    ['a line', (over) => `${'ab cd '.repeat(MAX_LINE_CHARACTERS).slice(0, MAX_LINE_CHARACTERS - 1 + over)}e`],
    ['a word', (over) => `some ${'x'.repeat(MAX_WORD_CHARACTERS + over)} word`],
    ['nested quotes', (over) => `${'> '.repeat(MAX_NESTING + over)}deep`],
    ['nested lists', (over) => `${'- '.repeat(MAX_NESTING + over)}deep`],
    ['indentation', (over) => `- a\n${' '.repeat(MAX_INDENT + over)}- b`],
  ];
  for (const [what, line] of limits) {
    it(`parses ${what} at the limit, and shows it plainly beyond`, () => {
      assert.ok(!plain(line(0)).includes('plain'));
      assert.ok(plain(line(1)).includes('plain'));
    });
  }

  it('shows the text that it does not parse', () => {
    const long = 'x'.repeat(1_000_000);
    assert.deepEqual(
      whole(`before\n\n${long}\n\n# after`).map((block) => (block.kind === 'plain' ? block.text.length : block.kind)),
      ['prose', 1_000_000, 'prose'],
    );
  });

  it('leaves long lines in code to the code', () => {
    const [block, ...rest] = whole(`\`\`\`\n${'x'.repeat(1_000_000)}\n\`\`\``);
    assert.equal(block?.kind, 'code');
    assert.deepEqual(rest, []);
  });

  it('ends in bounded time for any text', () => {
    const size = 20_000;
    const attacks = [
      '*a ',
      '_a ',
      '*a* ',
      '[',
      '[a](',
      '![',
      '>',
      '> ',
      '- ',
      '~~a ',
      '~a~ ',
      '<',
      'a@',
      'a.',
      'http://',
      '|',
      '|-',
      '\\',
      '**a*',
      'a_',
      'a**b',
      '`',
      '`a``b',
      '> a\n',
      '1. a\n',
      'a\n=',
      '#',
      '*',
      '[a]: b\n',
      '```\n',
      '```a\n~~~\n',
      '\n- a\n ',
      '\t',
      '\n\n',
      '&#',
      '<!--',
      '[a',
      '](b',
    ];
    for (const attack of attacks) {
      const text = attack.repeat(size / attack.length);
      const begun = performance.now();
      parseMarkdown(text, undefined, true);
      parseMarkdown(`${text}a@`, undefined, true);
      const took = performance.now() - begun;
      assert.ok(took < 5000, `${JSON.stringify(attack)} took ${took} ms`);
    }
  });
});
