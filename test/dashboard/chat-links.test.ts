import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isInlineImage, misleadingHost, safeLink } from '../../src/dashboard/chat/links.ts';

describe('safeLink', () => {
  for (const [address, href] of [
    ['https://example.org/a?b=c#d', 'https://example.org/a?b=c#d'],
    ['http://localhost:3000', 'http://localhost:3000/'],
    ['HTTPS://EXAMPLE.org/', 'https://example.org/'],
    ['mailto:somebody@example.org', 'mailto:somebody@example.org'],
  ] as const) {
    it(`takes ${address}`, () => assert.equal(safeLink(address), href));
  }

  for (const address of [
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)',
    'java\tscript:alert(1)',
    ' \u0001javascript:alert(1)',
    'vbscript:x',
    'data:text/html,<script>alert(1)</script>',
    'blob:https://example.org/x',
    'file:///etc/passwd',
    'ws://localhost:31415/ws',
    'view-source:https://example.org',
    'src/a.ts',
    '/absolute',
    '//example.org/x',
    '#fragment',
    '',
    'https://',
    'http://[::bad',
  ]) {
    it(`refuses ${JSON.stringify(address)}`, () => assert.equal(safeLink(address), null));
  }
});

describe('isInlineImage', () => {
  it('takes pictures in the text itself', () => assert.ok(isInlineImage('data:image/png;base64,iVBORw0KGgo=')));
  for (const address of [
    'https://example.org/pixel.png',
    'data:image/svg+xml;base64,PHN2Zz4=',
    'data:text/html;base64,PHNjcmlwdD4=',
    'data:image/png,raw',
    'blob:x',
  ]) {
    it(`refuses ${address}`, () => assert.equal(isInlineImage(address), false));
  }
});

describe('misleadingHost', () => {
  it('names the real host if the text names another', () => {
    assert.equal(misleadingHost('https://github.com/login', 'https://evil.example/x'), 'evil.example');
    assert.equal(misleadingHost('github.com', 'https://github.com.evil.example/'), 'github.com.evil.example');
  });
  it('says nothing if they agree, or the text names none', () => {
    assert.equal(misleadingHost('https://www.github.com/login', 'https://github.com/'), null);
    assert.equal(misleadingHost('GitHub.com', 'https://github.com/x'), null);
    assert.equal(misleadingHost('the docs', 'https://example.org/'), null);
    assert.equal(misleadingHost('see src/index.ts', 'https://example.org/'), null);
    assert.equal(misleadingHost('somebody@example.org', 'mailto:somebody@example.org'), null);
  });
});
