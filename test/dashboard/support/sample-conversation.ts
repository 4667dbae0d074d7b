/** A conversation with all that a transcript shows, for tests and for screenshots. */
import { deflateSync } from 'node:zlib';
import type { Message } from '../../../src/protocol/agent.ts';

/** A PNG, base64: bars of four colours. */
export const PICTURE = picture(320, 160);

function picture(width: number, height: number): string {
  const colours = [
    [91, 140, 255],
    [84, 209, 160],
    [242, 184, 75],
    [255, 138, 128],
  ];
  const rows = Buffer.alloc((1 + 3 * width) * height, 0x1c);
  for (let y = 0; y < height; y++) {
    const row = y * (1 + 3 * width);
    // Each row begins with the name of its filter: none.
    rows[row] = 0;
    for (let x = 0; x < width; x++) {
      const bar = Math.floor(x / 20);
      const top = height - 20 - ((bar * 37) % 110);
      if (x % 20 > 3 && y > top && y < height - 12) rows.set(colours[bar % 4] as number[], row + 1 + 3 * x);
    }
  }
  const size = Buffer.alloc(8);
  size.writeUInt32BE(width, 0);
  size.writeUInt32BE(height, 4);
  const header = Buffer.concat([size, Buffer.from([8, 2, 0, 0, 0])]);
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks]).toString('base64');
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), whole.length - 4);
  return whole;
}

/** As PNG has it (RFC 2083, 15). Node's own is newer than the oldest Node that runs these tests. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

let clock = Date.now() - 3_600_000;

function stamp(): number {
  clock += 4000;
  return clock;
}

export const user = (text: string): Message => ({ role: 'user', content: text, timestamp: stamp() });

export const assistant = (content: Message['content'], fields: Partial<Message> = {}): Message => ({
  role: 'assistant',
  content: typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []),
  timestamp: stamp(),
  stopReason: 'stop',
  model: 'sample-1',
  ...fields,
});

export const call = (id: string, name: string, args: Record<string, unknown>) =>
  ({ type: 'toolCall', id, name, arguments: args }) as const;

export const result = (id: string, name: string, text: string, fields: Partial<Message> = {}): Message => ({
  role: 'toolResult',
  toolCallId: id,
  toolName: name,
  content: [{ type: 'text', text }],
  isError: false,
  timestamp: stamp(),
  ...fields,
});

const testOutput = [
  ...Array.from(
    { length: 240 },
    (_, index) => `\u001b[32m✓\u001b[39m parser › reads frame ${index + 1} \u001b[2m(${(index * 7) % 90} ms)\u001b[22m`,
  ),
  '\u001b[31m✗\u001b[39m parser › resumes at every split',
  '  \u001b[31mAssertionError\u001b[39m: expected 17 to equal 16',
  '    at test/frame/parser.test.ts:212:14',
  '',
  '\u001b[1m\u001b[31m1 failed\u001b[39m\u001b[22m, 240 passed in 3.2 s',
].join('\n');

const source = `import { decodeHeader } from './header.ts';

/** Feeds what a socket gave to the sink, frame by frame. */
export class Parser {
  #offset = 0;

  push(chunk: Uint8Array): void {
    // A frame may begin in one chunk and end in another.
    for (let at = 0; at < chunk.length; ) {
      const header = decodeHeader(chunk, at);
      if (header === null) break;
      at += header.length + header.payloadLength;
      this.#offset = at;
    }
  }
}
`;

export function sampleConversation(): Message[] {
  return [
    user(
      'The parser loses a byte when a frame header is split between two chunks. Find out why, and mend it with a test.',
    ),
    assistant(
      [
        {
          type: 'thinking',
          thinking:
            'The header may be cut after its first byte. I should look at the parser and then at the tests that split every input.\n\nLet me read both.',
        },
        { type: 'text', text: "I'll look at the parser first, and run the tests that cut every input at every place." },
        call('c1', 'read', { path: '/home/me/work/hypivisor/src/frame/parser.ts' }),
        call('c2', 'bash', { command: 'node --test test/frame/parser.test.ts' }),
      ],
      { stopReason: 'toolUse' },
    ),
    result('c1', 'read', source),
    result('c2', 'bash', testOutput, { isError: true }),
    assistant(
      [
        {
          type: 'text',
          text: 'Found it: `push` forgets what it read of a header that is **not yet complete**. The bytes before the cut are dropped, so the next chunk starts one byte late.',
        },
        call('c3', 'edit', {
          path: '/home/me/work/hypivisor/src/frame/parser.ts',
          edits: [
            {
              oldText: '      if (header === null) break;',
              newText:
                '      if (header === null) {\n        this.#rest = chunk.subarray(at);\n        break;\n      }',
            },
          ],
        }),
      ],
      { stopReason: 'toolUse' },
    ),
    result('c3', 'edit', 'Successfully replaced 1 block in src/frame/parser.ts.', {
      details: {
        diff: [
          '  7   push(chunk: Uint8Array): void {',
          '  8     // A frame may begin in one chunk and end in another.',
          '- 9     for (let at = 0; at < chunk.length; ) {',
          '+ 9     const whole = this.#rest === null ? chunk : concat(this.#rest, chunk);',
          '+10     for (let at = 0; at < whole.length; ) {',
          '-10       const header = decodeHeader(chunk, at);',
          '+11       const header = decodeHeader(whole, at);',
          '-11       if (header === null) break;',
          '+12       if (header === null) {',
          '+13         this.#rest = whole.subarray(at);',
          '+14         break;',
          '+15       }',
          ' 12       at += header.length + header.payloadLength;',
        ].join('\n'),
      },
    }),
    assistant(
      [
        call('c4', 'write', {
          path: '/home/me/work/hypivisor/test/frame/split.test.ts',
          content: `${source}\n// and its test\n`,
        }),
      ],
      {
        stopReason: 'toolUse',
      },
    ),
    result('c4', 'write', 'Wrote 22 lines.'),
    assistant(`The parser keeps the rest of a header now, and the test cuts every vector at every place.

### What changed

| File | Lines | Why |
|---|--:|---|
| \`src/frame/parser.ts\` | +6 −3 | keeps the rest of a header |
| \`test/frame/split.test.ts\` | +22 | fails without it |

1. A header that is cut is kept in \`#rest\`.
2. The next chunk is joined to it:

\`\`\`ts
const whole = this.#rest === null ? chunk : concat(this.#rest, chunk);
\`\`\`

- [x] all splits of all vectors
- [ ] the same for masks

> A frame may be split at any byte, and usually is.

See [RFC 6455, section 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2).`),
    user('Good. Does the same hold for masks? Here is what I see:'),
    { ...user(''), content: [{ type: 'image', data: PICTURE, mimeType: 'image/png' }] },
    assistant('', {
      stopReason: 'error',
      errorMessage: '529 overloaded_error: the model is overloaded, try again later',
    }),
  ];
}
