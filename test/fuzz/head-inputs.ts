/** Heads of requests and responses, most of them nearly right, and cut anywhere. Text is latin1: a character is a byte. */
import { acceptFor } from '../../src/http/handshake.ts';
import { randomCuts } from './cuts.ts';
import type { Random } from './random.ts';

export interface HeadInput {
  bytes: Buffer;
  /** Where the chunks end. */
  cuts: readonly number[];
  maxHeadBytes: number;
  maxHeadFields: number;
}

type Field = [name: string, value: string];

/** What a client of ours would offer, and the answer's Accept is right for. */
export const OFFER = {
  key: 'dGhlIHNhbXBsZSBub25jZQ==',
  subprotocols: ['hypi.v1', 'chat'],
  extensions: 'permessage-deflate; client_max_window_bits',
} as const;

/** In some of the requests; the gate that is fuzzed knows it. */
export const TOKEN = 'abc+123';
export const BASE64_TOKEN = Buffer.from(TOKEN).toString('base64url');

const METHODS = [
  'GET',
  'GET',
  'GET',
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'OPTIONS',
  'CONNECT',
  'PUT',
  'get',
  'M-SEARCH',
].concat('BREW', 'G(T', '', 'GETGET', 'PRI', 'QUERY', 'SOURCE', 'Ünder');
const TARGETS = ['/', '/ws', '/ws', '/ws?token=abc%2B123', '/ws?token=abc+123', '/ws/agent/a%2Fb', '/ws/agent/%C3%A9?x']
  .concat('/ws/agent/', '/ws/agent/%', '/ws/agent/%ff?token=%zz', '/healthz', '//a/ws', '/a?b?c', '/a#b', '/Ã©', '/%00')
  .concat(
    'http://a/ws',
    'ws://[::1]:80',
    'http://',
    'https://u@a/',
    'http:/a',
    'HTTP://a:99999/',
    '*',
    'a:80',
    '',
    '?',
    'x',
  )
  .concat(
    '/a b',
    '/\x7f',
    '/ws?token=a&token=abc%2B123',
    '/ws?token=abc+123&token=a',
    '/ws?token',
    '/a"<>\\^`{|}',
    'ftp://a/',
    '/a%2',
    'foo:bar',
  );
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
].concat('HTTP/0.9', 'HTTP/1', 'http/1.1', 'HTTP/11', 'HTTP/1.10', 'ICE/1.0', '', 'HTTP/1.1 ', 'RTSP/1.0');
const STATUS_LINES = Array(8)
  .fill('HTTP/1.1 101 Switching Protocols')
  .concat('HTTP/1.1 101', 'HTTP/1.1 101 ', 'HTTP/1.0 101 x', 'HTTP/1.1 200 OK', 'HTTP/1.1 1O1 x', 'HTTP/1.1  101 x')
  .concat(
    'HTTP/1.1 1010',
    'HTTP/2 101',
    '',
    'HTTP/1.1 099 x',
    'HTTP/1.1 600 x',
    'HTTP/1.1 404 x-101',
    'SSH-2.0-OpenSSH',
  );

const UPGRADE: Field[] = [
  ['Upgrade', 'websocket'],
  ['Connection', 'Upgrade'],
];
const REQUEST: Field[] = [
  ['Host', 'localhost:31415'],
  ...UPGRADE,
  ['Sec-WebSocket-Key', OFFER.key],
  ['Sec-WebSocket-Version', '13'],
];
const RESPONSE: Field[] = [...UPGRADE, ['Sec-WebSocket-Accept', acceptFor(OFFER.key)]];

/** Values that field might also have, the right ones among them. */
const VALUES = new Map<string, readonly string[]>(
  Object.entries({
    Host: [
      'a',
      'a:80',
      '[::1]:80',
      'a:',
      ':80',
      '',
      'a b',
      'a,b',
      'a..',
      'A%41',
      '1.2.3',
      '0x7f.1',
      '[::1',
      'a:65536',
      'é.de',
    ],
    Upgrade: ['WebSocket', 'h2c, websocket', 'websocket/13', 'h2c', '', ',websocket,'],
    Connection: ['keep-alive, Upgrade', 'upgrade', 'close', 'Upgrade;x', '', 'Upgrade, Upgrade', 'keep-alive'],
    'Sec-WebSocket-Key': ['AAAAAAAAAAAAAAAAAAAAAA==', 'AAAAAAAAAAAAAAAAAAAAAB==', 'short', '', 'x'.repeat(24)],
    'Sec-WebSocket-Version': ['8', '13, 8', ' 13\t', '013', ''],
    'Sec-WebSocket-Protocol': [
      'hypi.v1',
      'chat',
      'hypi.v1, chat',
      'hypi.v1,, x',
      'a, a',
      '',
      ',',
      'a b',
      'constructor',
    ].concat(`hypi.v1, hypi.token.${BASE64_TOKEN}`, 'hypi.token.', 'hypi.token.a, hypi.token.b'),
    'Sec-WebSocket-Extensions': [
      'permessage-deflate',
      'permessage-deflate; client_max_window_bits',
      'a; b="c"; d=e',
      'a;',
    ].concat(
      'a; b="c d"',
      'a; b=',
      'a; b="c,d"',
      'a; b="\\c"',
      'a, a',
      '',
      'x-webkit-deflate-frame',
      'a; b = c',
      'a b',
      '"a"',
      'a;=b',
      '__proto__',
    ),
    'Sec-WebSocket-Accept': [acceptFor('AAAAAAAAAAAAAAAAAAAAAA=='), '', 'x'],
    Origin: [
      'http://localhost',
      'http://localhost:31415',
      'https://evil.example',
      'null',
      'file://',
      'http://A..:80',
      'http://',
    ].concat(
      'http://[::ffff:7f00:1]:1',
      'http://127.1',
      'http://a:080',
      'x://a.',
      'http://a/b',
      'http://é',
      'http://$(x)',
    ),
    Authorization: [`Bearer ${TOKEN}`, 'Bearer', 'bearer   x', 'Basic YTpi', `BEARER ${TOKEN} `],
    'Content-Length': ['0', '5', '00', '-1', '+5', '1, 1', '', '0x5', '18446744073709551616', '1 2'],
    'Transfer-Encoding': ['chunked', 'identity', 'gzip, chunked', 'xchunked', 'chunked, x', ''],
    'X-Any': ['', 'a', 'a\tb', ' a ', 'é', '\x80\xff', 'a: b', '\x01', 'a\x7fb', '"', 'x'.repeat(200)],
  }),
);
const NAMES = [...VALUES.keys(), '__proto__', '', 'X Y', 'X-A ', ' X-A', 'é'];
const TELLING = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  '%',
  '\x7f',
  '\x80',
  '\xa0',
  '\v',
  '/',
  '"',
  '\r\n ',
  'é',
];

export class HeadInputs {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  request(): HeadInput {
    const random = this.#random;
    const usual = random.oneIn(2);
    const line = usual
      ? `GET ${random.pick(TARGETS)} HTTP/1.1`
      : [random.pick(METHODS), random.pick(TARGETS), random.pick(VERSIONS)].join(random.oneIn(32) ? '  ' : ' ');
    return this.#head(line, REQUEST);
  }

  response(): HeadInput {
    return this.#head(this.#random.pick(STATUS_LINES), RESPONSE);
  }

  #head(startLine: string, usual: readonly Field[]): HeadInput {
    const random = this.#random;
    const fields = usual.map(([name, value]): Field => [name, this.#value(name, value)]);
    for (let times = random.below(4); times > 0; times--) {
      const name = random.pick(NAMES);
      fields.splice(random.below(fields.length + 1), 0, [
        name,
        this.#value(name, random.pick(VALUES.get(name) ?? [''])),
      ]);
    }
    if (random.oneIn(8)) fields.splice(random.below(fields.length), 1);
    if (random.oneIn(200)) fields.push(...this.#many());
    const lines = [startLine, ...fields.map((field) => this.#line(field)), ''];
    let text = lines.map((line) => line + (random.oneIn(256) ? random.pick(TELLING) : '\r\n')).join('');
    if (random.oneIn(3)) for (let times = random.between(1, 3); times > 0; times--) text = this.#mutated(text);
    if (random.oneIn(256)) text = `\r\n${text}`;
    if (random.oneIn(4)) text += '\x81\x85\0\0\0\0hello'.repeat(random.below(3));
    const bytes = Buffer.from(text, 'latin1');
    return {
      bytes,
      cuts: randomCuts(random, bytes.length),
      maxHeadBytes: random.oneIn(16) ? random.between(200, 400) : 16_384,
      maxHeadFields: random.oneIn(16) ? random.between(3, 9) : 100,
    };
  }

  #value(name: string, usual: string): string {
    const random = this.#random;
    return random.oneIn(12) ? random.pick(VALUES.get(name) ?? [usual]) : usual;
  }

  #line([name, value]: Field): string {
    const random = this.#random;
    const written = random.oneIn(8) ? name.toLowerCase() : random.oneIn(16) ? name.toUpperCase() : name;
    return `${written}:${random.oneIn(8) ? random.pick(['', '  ', '\t', ' \t ']) : ' '}${value}${random.oneIn(16) ? ' ' : ''}`;
  }

  /** Around the bounds on fields and bytes. */
  #many(): Field[] {
    const random = this.#random;
    if (random.oneIn(2)) return Array.from({ length: random.between(88, 100) }, (_, i): Field => [`X-${i}`, 'v']);
    return [['X-Long', 'v'.repeat(random.between(16_000, 16_400))]];
  }

  #mutated(text: string): string {
    const random = this.#random;
    const at = random.below(text.length + 1);
    const size = random.between(1, 6);
    switch (random.below(6)) {
      case 0:
        return text.slice(0, at) + random.pick(TELLING) + text.slice(at);
      case 1:
        return text.slice(0, at) + random.pick(TELLING) + text.slice(at + 1);
      case 2:
        return text.slice(0, at) + text.slice(at + size);
      case 3:
        return text.slice(0, at + size) + text.slice(at);
      case 4:
        return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
      default:
        return random.oneIn(4) ? text.slice(0, at) : text;
    }
  }
}
