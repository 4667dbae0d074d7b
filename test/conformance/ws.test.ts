/** A Session and `ws`, which the field runs on, judge the same bytes alike, and read what the other writes. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import * as ws from 'ws';
import { encodeCloseFrame, encodeFrame, encodeText } from '../../src/frame/encode.ts';
import { Session } from '../../src/frame/session.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { chopBy } from '../support/chop.ts';
import type { RawFrame } from '../support/raw-frame.ts';
import { type RecordedEvent, RecordingSink } from '../support/recording-sink.ts';
import { closePayload, toward } from './endpoint.ts';

/** The two classes of `ws` that frame, which its types leave out. */
interface Framing {
  Receiver: new (options: { isServer: boolean; maxPayload: number; maxFragments: number }) => Writable;
  Sender: new (
    socket: Writable,
  ) => {
    send(payload: Buffer, options: { binary: boolean; fin: boolean; mask: boolean; compress: boolean }): void;
    ping(payload: Buffer, mask: boolean): void;
    pong(payload: Buffer, mask: boolean): void;
    close(closeCode: number, closeReason: string, mask: boolean): void;
  };
}
const { Receiver, Sender } = ws as unknown as Framing;

const LIMITS = { maxMessageBytes: 300, maxFragments: 5 };

/** What a Session tells of the chunks, its end as `['closed', closeCode]`. */
function byUs(side: Side, chunks: Buffer[]): RecordedEvent[] {
  const sink = new RecordingSink();
  const session = new Session(side, LIMITS, sink, sink);
  for (const chunk of chunks) session.receive(chunk);
  return sink.events.map((event) => (event[0] === 'closed' ? ['closed', event[1] as number] : event));
}

/** What the Receiver of `ws` tells of them. */
async function byWs(side: Side, chunks: Buffer[]): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  const receiver = new Receiver({
    isServer: side === 'server',
    maxPayload: LIMITS.maxMessageBytes,
    maxFragments: LIMITS.maxFragments,
  });
  receiver.on('message', (payload: Buffer, binary: boolean) => {
    events.push(binary ? ['binary', payload.toString('hex')] : ['text', payload.toString()]);
  });
  receiver.on('ping', (payload: Buffer) => events.push(['ping', payload.toString('hex')]));
  receiver.on('pong', (payload: Buffer) => events.push(['pong', payload.toString('hex')]));
  receiver.on('conclude', (closeCode: number) => events.push(['closed', closeCode]));
  receiver.on('error', (error: Error) => {
    // The close code it would send stands under a symbol.
    const closeCode = Object.getOwnPropertySymbols(error)
      .map((symbol) => (error as unknown as Record<symbol, unknown>)[symbol])
      .find((value) => typeof value === 'number');
    events.push(['closed', closeCode as number]);
  });
  for (const chunk of chunks) {
    if (receiver.writableEnded) break;
    receiver.write(chunk);
  }
  await setImmediate();
  return events;
}

const bytes = (maxLength: number, minLength = 0) =>
  fc.uint8Array({ minLength, maxLength, size: 'max' }).map((list) => Buffer.from(list));
const control = fc.record({ opcode: fc.constantFrom(9, 10), payload: bytes(125) });

/**
 * A message in up to six fragments, one more than may be, with control frames between. Texts are valid here: `ws`
 * judges them at their end, a Session at the offending byte.
 */
const message = fc
  .record({
    text: fc.option(fc.string({ unit: 'binary', maxLength: 60, size: 'max' })),
    binary: bytes(200),
    cuts: fc.array(fc.nat(80), { maxLength: 5 }),
    controls: fc.array(fc.option(control), { maxLength: 6 }),
  })
  .map(({ text, binary, cuts, controls }) => {
    const payload = text === null ? binary : Buffer.from(text);
    const frames: RawFrame[] = [];
    const ends = [...cuts.filter((cut) => cut < payload.length).sort((a, b) => a - b), payload.length];
    for (const [i, end] of ends.entries()) {
      const fin = i === ends.length - 1;
      const opcode = i > 0 ? 0 : text === null ? 2 : 1;
      frames.push({ opcode, payload: payload.subarray(ends[i - 1] ?? 0, end), fin });
      const between = controls[i];
      if (between) frames.push(between);
    }
    return frames;
  });

/** What should fail the connection, or end it, alike. Each alone: the two may find several faults in another order. */
const ending = fc.oneof(
  fc.record({ opcode: fc.constantFrom(3, 4, 5, 6, 7, 11, 12, 13, 14, 15), payload: bytes(20) }),
  fc.record({ opcode: fc.constantFrom(1, 2, 9, 10), rsv: fc.integer({ min: 1, max: 7 }) }),
  fc.record({ opcode: fc.constantFrom(8, 9, 10), fin: fc.constant(false) }),
  fc.record({ opcode: fc.constantFrom(8, 9, 10), payload: bytes(300, 126) }),
  fc.record({ opcode: fc.constant(0), payload: bytes(20) }),
  fc.record({ opcode: fc.constant(1), payload: bytes(20) }),
  fc.record({ opcode: fc.constant(1), announcedLength: fc.bigInt({ min: 290n, max: 310n }) }),
  fc.record({ opcode: fc.constant(2), announcedLength: fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }) }),
  fc.record({ opcode: fc.constant(8), payload: bytes(125) }),
  fc
    .tuple(fc.integer({ min: 990, max: 5010 }), fc.string({ unit: 'binary', maxLength: 20, size: 'max' }))
    .map(([closeCode, reason]) => ({ opcode: 8, payload: closePayload(closeCode, reason) })),
);

const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }).filter((list) => list.some((size) => size > 0));

for (const side of ['server', 'client'] satisfies Side[]) {
  describe(`Session and ws, as a ${side}`, () => {
    it('tell the same of any messages and of what ends them, at any chunking', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(message, { maxLength: 4 }), fc.option(ending), sizes, async (messages, end, list) => {
          const frames: RawFrame[] = messages.flat();
          if (end !== null) frames.push(end);
          const stream = Buffer.concat(frames.map((frame) => toward(side, frame)));
          assert.deepEqual(byUs(side, chopBy(stream, list)), await byWs(side, chopBy(stream, list)));
        }),
        { numRuns: 250 },
      );
    });

    it('refuse the wrong masking alike', async () => {
      const other = side === 'server' ? 'client' : 'server';
      const stream = toward(other, { opcode: 1, payload: 'Hello' });
      assert.deepEqual(byUs(side, [Buffer.from(stream)]), [['closed', 1002]]);
      assert.deepEqual(await byWs(side, [Buffer.from(stream)]), [['closed', 1002]]);
    });

    it('read what the Sender of ws writes', async () => {
      const mask = side === 'server';
      await fc.assert(
        fc.asyncProperty(fc.array(message, { maxLength: 4 }), sizes, async (messages, list) => {
          const written: Buffer[] = [];
          const socket = new Writable({
            write(chunk: Buffer, _encoding, done) {
              written.push(Buffer.from(chunk));
              done();
            },
          });
          const sender = new Sender(socket);
          const frames: RawFrame[] = messages.flat();
          let binary = false;
          for (const { opcode, payload, fin = true } of frames) {
            const copy = Buffer.from(payload as Buffer);
            if (opcode === Opcode.PING) sender.ping(copy, mask);
            else if (opcode === Opcode.PONG) sender.pong(copy, mask);
            else {
              if (opcode !== Opcode.CONTINUATION) binary = opcode === Opcode.BINARY;
              sender.send(copy, { binary, fin, mask, compress: false });
            }
          }
          sender.close(1000, 'bye', mask);
          await setImmediate();
          const expected = await byWs(
            side,
            [...frames, { opcode: 8, payload: closePayload(1000, 'bye') }].map((frame) => toward(side, frame)),
          );
          assert.deepEqual(byUs(side, chopBy(Buffer.concat(written), list)), expected);
        }),
        { numRuns: 100 },
      );
    });

    it('write what the Receiver of ws reads', async () => {
      const writer = side === 'server' ? 'client' : 'server';
      const payload = Buffer.from('0001feff', 'hex');
      const written = [
        encodeText(writer, 'Grüße 😀'),
        encodeText(writer, 'a'.repeat(126)),
        encodeFrame(writer, Opcode.BINARY, payload, false),
        encodeFrame(writer, Opcode.PING, payload),
        encodeFrame(writer, Opcode.CONTINUATION, payload),
        encodeFrame(writer, Opcode.PONG, Buffer.alloc(0)),
        encodeCloseFrame(writer, 4999, 'Auf Wiederhören'),
      ];
      assert.deepEqual(await byWs(side, written), [
        ['text', 'Grüße 😀'],
        ['text', 'a'.repeat(126)],
        ['ping', '0001feff'],
        ['binary', '0001feff0001feff'],
        ['pong', ''],
        ['closed', 4999],
      ]);
    });
  });
}
