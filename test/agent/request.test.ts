import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RequestProblem, readRequest } from '../../src/agent/request.ts';

const read = (value: unknown) => readRequest(JSON.stringify(value), false);

describe('readRequest', () => {
  it('takes text that is no request for a prompt', () => {
    for (const text of ['hello', '', '{', '{}', '[1]', '"abort"', '{"type":1}', 'null', '{"a":{"type":"abort"}}']) {
      assert.deepEqual(readRequest(text, false), { type: 'plain_prompt', text });
      assert.deepEqual(readRequest(text, true), { type: 'plain_prompt', text });
    }
  });

  const requests = [
    { type: 'abort' },
    { type: 'list_commands' },
    { type: 'list_files' },
    { type: 'list_files', prefix: 'src/' },
    { type: 'fetch_history', before: 10, limit: 50 },
    { type: 'attach_file', filename: 'a', content: 'QQ==' },
    { type: 'attach_file', filename: 'a', content: '', mimeType: 'text/plain' },
    { type: 'prompt', id: 'p', text: 'hello' },
    {
      type: 'prompt',
      id: 'p',
      text: '',
      attachments: [{ filename: 'a', data: '' }],
      deliver: 'steer',
      client: 'phone',
    },
    { type: 'queue_remove', id: 'p' },
    { type: 'queue_steer', id: 'p' },
    { type: 'answer', id: 'q', value: '' },
    { type: 'answer', id: 'q', value: false, client: 'phone' },
    { type: 'dismiss', id: 'q' },
    { type: 'fetch_message', index: 0 },
  ];
  for (const request of requests) {
    it(`reads ${JSON.stringify(request)}, and drops what it does not know`, () => {
      assert.deepEqual(read(request), request);
      assert.deepEqual(read({ ...request, extra: [1], __proto__: { id: 'x' } }), request);
    });
  }

  it('reads for a classic client what those know, and takes the rest for a prompt', () => {
    for (const request of requests) {
      const text = JSON.stringify(request);
      const isClassic = ['abort', 'list_commands', 'list_files', 'fetch_history', 'attach_file'].includes(request.type);
      assert.equal(readRequest(text, true).type, isClassic ? request.type : 'plain_prompt', text);
    }
  });

  const wrong: [object, RegExp][] = [
    [{ type: 'prompt', text: 'x' }, /id must be a string/],
    [{ type: 'prompt', id: '', text: 'x' }, /id must have/],
    [{ type: 'prompt', id: 'é'.repeat(65), text: 'x' }, /id must have/],
    [{ type: 'prompt', id: 'p' }, /text must be a string/],
    [{ type: 'prompt', id: 'p', text: 1 }, /text must be a string/],
    [{ type: 'prompt', id: 'p', text: 'x', deliver: 'now' }, /deliver must be/],
    [{ type: 'prompt', id: 'p', text: 'x', attachments: {} }, /attachments must be/],
    [{ type: 'prompt', id: 'p', text: 'x', attachments: [null] }, /attachments must be/],
    [{ type: 'prompt', id: 'p', text: 'x', attachments: [{ filename: 'a' }] }, /data must be/],
    [{ type: 'prompt', id: 'p', text: 'x', attachments: Array(33).fill({ filename: 'a', data: '' }) }, /at most 32/],
    [{ type: 'prompt', id: 'p', text: 'x', client: 'c'.repeat(129) }, /client has at most/],
    [{ type: 'answer', id: 'q', value: 1 }, /value must be/],
    [{ type: 'fetch_history', before: -1, limit: 1 }, /before must be/],
    [{ type: 'fetch_history', before: 1, limit: 1.5 }, /limit must be/],
    [{ type: 'fetch_message' }, /index must be/],
    [{ type: 'list_files', prefix: 1 }, /prefix must be/],
    [{ type: 'constructor' }, /no request of the type constructor/],
  ];
  for (const [request, sentence] of wrong) {
    it(`refuses ${JSON.stringify(request).slice(0, 90)}`, () => {
      assert.throws(
        () => read(request),
        (error) =>
          error instanceof RequestProblem &&
          sentence.test(error.message) &&
          error.request === (request as { type: string }).type,
      );
    });
  }

  it('says which request it was', () => {
    assert.throws(() => read({ type: 'prompt', id: 'p7' }), { id: 'p7' });
    assert.throws(() => read({ type: 'fetch_message', index: -4 }), { id: -4 });
  });

  it('takes an id and a client of the longest kind', () => {
    const request = { type: 'prompt', id: 'i'.repeat(128), text: 'x', client: 'é'.repeat(64) };
    assert.deepEqual(read(request), request);
  });

  it('never throws anything else, whatever comes', () => {
    const known = fc.constantFrom(...requests.map(({ type }) => type));
    const object = fc.record(
      { type: fc.oneof(known, fc.string()), id: fc.jsonValue(), text: fc.jsonValue(), value: fc.jsonValue() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          object.map((it) => JSON.stringify(it)),
          fc.string(),
        ),
        fc.boolean(),
        (text, isClassic) => {
          try {
            readRequest(text, isClassic);
          } catch (error) {
            assert.ok(error instanceof RequestProblem);
          }
        },
      ),
    );
  });
});
