import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeEntities } from '../../src/dashboard/chat/entities.ts';

describe('decodeEntities', () => {
  const cases: [string, string][] = [
    ['no reference', 'no reference'],
    ['a &amp; b &lt;c&gt; &quot;d&quot; &#39;e&#x27;', 'a & b <c> "d" \'e\''],
    ['&copy; &hellip; &nbsp;', '© … \u00a0'],
    ['&amp;lt;', '&lt;'],
    ['&#128512;&#x1F600;', '😀😀'],
    ['&bogus; &amp &; &#; &#x;', '&bogus; &amp &; &#; &#x;'],
    ['&#0; &#xD800; &#1114112; &#9999999;', '\ufffd \ufffd \ufffd \ufffd'],
    ['&constructor; &__proto__;', '&constructor; &__proto__;'],
  ];
  for (const [text, expected] of cases) it(JSON.stringify(text), () => assert.equal(decodeEntities(text), expected));
});
