import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseRequestHead } from '../../src/http/message.ts';
import { type Asset, Assets } from '../../src/http/static.ts';

const page: Asset = {
  path: '/',
  type: 'text/html; charset=utf-8',
  immutable: false,
  etag: '"page"',
  bodies: { identity: Buffer.from('identity'), br: Buffer.from('br'), gzip: Buffer.from('gzip') },
};
const script: Asset = {
  path: '/assets/app-4F2A.js',
  type: 'text/javascript; charset=utf-8',
  immutable: true,
  etag: '"4F2A"',
  bodies: { identity: Buffer.from('let a'), gzip: Buffer.from('gzip') },
};
const icon: Asset = {
  path: '/icon.png',
  type: 'image/png',
  immutable: false,
  etag: '"i,c"',
  bodies: { identity: Buffer.from([1, 2, 3]) },
};
const assets = new Assets([page, script, icon]);

function get(path: string, ...fields: string[]) {
  const head = [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');
  return assets.get(parseRequestHead(Buffer.from(head, 'latin1'), 100));
}

/** Which of the page's codings a client gets. */
const codingFor = (...acceptEncoding: string[]) =>
  get('/', ...acceptEncoding.map((value) => `Accept-Encoding: ${value}`))?.body.toString();

describe('Assets', () => {
  it('answers a path with its file, whatever the query', () => {
    for (const path of ['/', '/?a=b', '/?', 'http://a/', 'http://a']) {
      const response = get(path);
      assert.equal(response?.status, 200);
      assert.equal(response?.body, page.bodies.identity);
      assert.equal(response?.fields['Content-Type'], page.type);
    }
  });

  it('has no file but by its exact path', () => {
    for (const path of ['/assets/app-4F2A.js/', '/assets/', '/assets/../icon.png', '/%69con.png', '//', '/ICON.PNG']) {
      assert.equal(get(path), null, path);
      assert.equal(assets.has(path), false);
    }
    for (const path of ['/', '/assets/app-4F2A.js', '/icon.png']) assert.equal(assets.has(path), true);
    assert.equal(new Assets().has('/'), false);
  });

  it('lets a hashed file be kept for a year, and any other be asked for each time', () => {
    assert.equal(get('/assets/app-4F2A.js')?.fields['Cache-Control'], 'public, max-age=31536000, immutable');
    assert.equal(get('/')?.fields['Cache-Control'], 'no-cache');
  });

  it('sends the policy with every file', () => {
    for (const path of ['/', '/assets/app-4F2A.js', '/icon.png']) {
      const fields = get(path)?.fields;
      assert.equal(
        fields?.['Content-Security-Policy'],
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
          "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
          "require-trusted-types-for 'script'",
      );
      assert.equal(fields?.['Referrer-Policy'], 'no-referrer');
      assert.equal(fields?.['Cross-Origin-Resource-Policy'], 'same-origin');
    }
  });

  it('takes no weak or malformed entity tag', () => {
    for (const etag of ['W/"a"', 'a', '"a', '"a"b"', '"a b"', '"\u0100"', ''])
      assert.throws(() => new Assets([{ ...page, etag }]), TypeError, etag);
    assert.doesNotThrow(() => new Assets([{ ...page, etag: '""' }]));
  });
});

describe('content coding', () => {
  const cases: [acceptEncoding: string[], coding: string][] = [
    [[], 'identity'],
    [[''], 'identity'],
    [['gzip, deflate, br, zstd'], 'br'],
    [['gzip, deflate'], 'gzip'],
    [['deflate, zstd'], 'identity'],
    [['gzip', 'br'], 'br'],
    [['BR'], 'br'],
    [['x-gzip'], 'gzip'],
    [['*'], 'br'],
    [['*;q=0'], 'identity'],
    [['br;q=0, *'], 'gzip'],
    [['br;q=0.5, gzip;q=0.8'], 'gzip'],
    [['br;q=0.8 , gzip;q=0.8'], 'br'],
    [['br ; q=0.001'], 'br'],
    [['br;q=0.000'], 'identity'],
    [['br;q=0, gzip;Q=0'], 'identity'],
    [['identity'], 'identity'],
    [['gzip;q=0.5, identity'], 'identity'],
    [['identity;q=0, gzip;q=0.1'], 'gzip'],
    [['identity;q=0'], 'identity'],
    [['identity;q=0, *;q=0'], 'identity'],
    [['br;level=1, gzip'], 'gzip'],
    [['br;q=2, gzip'], 'gzip'],
    [['br;q=a, gzip;q='], 'identity'],
    [[',, gzip ,'], 'gzip'],
  ];
  for (const [acceptEncoding, coding] of cases) {
    it(`${JSON.stringify(acceptEncoding)} → ${coding}`, () => assert.equal(codingFor(...acceptEncoding), coding));
  }

  it('is named, but for identity, and every answer says that it depends on it', () => {
    for (const [value, encoding] of [
      ['br', 'br'],
      ['gzip', 'gzip'],
      ['identity', undefined],
    ] as const) {
      const fields = get('/', `Accept-Encoding: ${value}`)?.fields;
      assert.equal(fields?.['Content-Encoding'], encoding);
      assert.equal(fields?.Vary, 'Accept-Encoding');
    }
  });

  it('is one that the file was built in', () => {
    assert.equal(get(script.path, 'Accept-Encoding: br, gzip;q=0.1')?.body, script.bodies.gzip);
    assert.equal(get(icon.path, 'Accept-Encoding: br, gzip')?.body, icon.bodies.identity);
  });

  it('any field gets an answer with a body of the file', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]*$/), (value) => {
        assert.match(codingFor(value) ?? '', /^(br|gzip|identity)$/);
      }),
    );
  });
});

describe('entity tag', () => {
  it('differs between codings, as their bytes do', () => {
    const tags = ['identity', 'gzip', 'br'].map((coding) => get('/', `Accept-Encoding: ${coding}`)?.fields.ETag);
    assert.deepEqual(tags, ['"page"', '"page-gzip"', '"page-br"']);
  });

  const known: [ifNoneMatch: string[], is304: boolean][] = [
    [['"page"'], true],
    [['W/"page"'], true],
    [['*'], true],
    [['"a", "page"'], true],
    [['"a","b",W/"page" , "c"'], true],
    [['"a"', '"page"'], true],
    [['"a, *, b"'], false],
    [['"page-br"'], false],
    [['page'], false],
    [['"pag"'], false],
    [['"page'], false],
    [['"Page"'], false],
    [[''], false],
    [[], false],
  ];
  for (const [values, is304] of known) {
    it(`If-None-Match ${JSON.stringify(values)} → ${is304 ? 304 : 200}`, () => {
      const response = get('/', ...values.map((value) => `If-None-Match: ${value}`));
      assert.equal(response?.status, is304 ? 304 : 200);
      assert.equal(response?.body.length, is304 ? 0 : 8);
    });
  }

  it('may hold a comma', () => {
    assert.equal(get('/icon.png', 'If-None-Match: "x", "i,c"')?.status, 304);
    assert.equal(get('/icon.png', 'If-None-Match: "i", "c"')?.status, 200);
  });

  it('a 304 repeats what a cache needs, and nothing of a body', () => {
    const response = get('/', 'Accept-Encoding: br', 'If-None-Match: "page-br"');
    assert.equal(response?.status, 304);
    const { ETag, Vary, 'Cache-Control': cacheControl, ...others } = response?.fields ?? {};
    assert.deepEqual([ETag, Vary, cacheControl], ['"page-br"', 'Accept-Encoding', 'no-cache']);
    assert.equal(others['Content-Type'], undefined);
    assert.equal(others['Content-Encoding'], undefined);
  });

  it('is found in a long field in linear time', () => {
    assert.equal(get('/', `If-None-Match: ${'"'.repeat(15_000)}`)?.status, 200);
    assert.equal(get('/', `If-None-Match: ${'W/'.repeat(7_000)}"page"`)?.status, 304);
  });
});
