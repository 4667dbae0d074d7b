/** Our own readers of frames, each made to tell its outcome. */
import assert from 'node:assert/strict';
import { BoundaryWalker } from '../../src/frame/boundary.ts';
import type { Close } from '../../src/frame/close.ts';
import type { FrameHeader } from '../../src/frame/header.ts';
import { type DataOpcode, MessageAssembler, type MessageLimits, type MessageSink } from '../../src/frame/message.ts';
import { FrameParser, type FrameSink } from '../../src/frame/parser.ts';
import { type FrameWriter, Session, type SessionSink } from '../../src/frame/session.ts';
import { Opcode, ProtocolError, type Side } from '../../src/frame/vocabulary.ts';
import { readFrames } from '../support/raw-frame.ts';
import { Event, FrameOutcome } from './frame-outcome.ts';
import { Disagreement } from './target.ts';

export class OurOutcome extends FrameOutcome {
  /** The reason was ours, and not a close that came. */
  failed = false;

  override reset(): void {
    super.reset();
    this.failed = false;
  }
}

/** Parser and assembler alone: what they throw is what a Session would fail with. */
export class AssembledFrames implements MessageSink {
  readonly outcome = new OurOutcome();
  #parser: FrameParser | null = null;

  /** @throws what is no ProtocolError */
  read(side: Side, limits: MessageLimits, chunks: Iterable<Buffer>): OurOutcome {
    this.outcome.reset();
    const parser = new FrameParser(side, new MessageAssembler(limits, this));
    this.#parser = parser;
    try {
      for (const chunk of chunks) {
        parser.push(chunk);
        if (this.outcome.end !== null) break;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.outcome.failed = true;
      this.outcome.end = { closeCode: error.closeCode, closeReason: error.message };
    }
    return this.outcome;
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.outcome.add(opcode === Opcode.TEXT ? Event.TEXT : Event.BINARY, payload);
  }

  onPing(payload: Buffer): void {
    this.outcome.add(Event.PING, payload);
  }

  onPong(payload: Buffer): void {
    this.outcome.add(Event.PONG, payload);
  }

  onClose(close: Close): void {
    this.outcome.end = close;
    this.#parser?.stop();
  }
}

/** A Session, whose every ping must have been answered before it is told, and whose end must have been sent. */
export class SessionFrames implements SessionSink, FrameWriter {
  readonly batch = null;
  readonly outcome = new FrameOutcome();
  #side: Side = 'server';
  #written: Buffer[] = [];

  read(side: Side, limits: MessageLimits, chunks: Iterable<Buffer>): FrameOutcome {
    this.outcome.reset();
    this.#side = side;
    this.#written = [];
    const session = new Session(side, limits, this, this);
    for (const chunk of chunks) session.receive(chunk);
    assert.deepEqual(this.#written, [], 'written without a cause');
    return this.outcome;
  }

  write(bytes: Buffer): void {
    this.#written.push(bytes);
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.outcome.add(opcode === Opcode.TEXT ? Event.TEXT : Event.BINARY, payload);
  }

  onPing(payload: Buffer): void {
    this.outcome.add(Event.PING, payload);
    assert.ok(this.#takeWritten(Opcode.PONG).equals(payload), 'the pong is not the ping');
  }

  onPong(payload: Buffer): void {
    this.outcome.add(Event.PONG, payload);
  }

  onClosed(close: Close): void {
    this.outcome.end = close;
    const payload = this.#takeWritten(Opcode.CLOSE);
    assert.equal(payload.length === 0 ? 1005 : payload.readUInt16BE(), close.closeCode, 'the close that was sent');
  }

  #takeWritten(opcode: Opcode): Buffer {
    const frames = this.#written.flatMap(readFrames);
    this.#written = [];
    const [frame] = frames;
    assert.ok(frame !== undefined && frames.length === 1, 'one frame is written');
    const { payload, ...header } = frame;
    assert.deepEqual(header, { fin: true, rsv: 0, opcode, masked: this.#side === 'client' });
    return payload;
  }
}

/** Where frames end, by the parser. */
class Boundaries implements FrameSink {
  /** Offset of the end of the frame that was announced last. */
  end = 0;
  closing = false;
  onClosed: () => void = () => {};

  onHeader(header: FrameHeader): void {
    this.end += header.headerLength + header.payloadLength;
    this.closing = header.opcode === Opcode.CLOSE;
  }

  onPayload(_chunk: Buffer, _start: number, _end: number, last: boolean): void {
    if (last && this.closing) this.onClosed();
  }
}

/**
 * Walks and parses side by side: both must be at a boundary after the same chunks, stop at the same close, and find the
 * same fault in the same header. Reserved bits are the parser's alone: the walk leaves them to the two ends.
 *
 * @throws Disagreement
 */
export function compareBoundaries(side: Side, chunks: readonly Buffer[]): void {
  const walker = new BoundaryWalker(side);
  const boundaries = new Boundaries();
  const parser = new FrameParser(side, boundaries);
  let closed = false;
  boundaries.onClosed = () => {
    closed = true;
    parser.stop();
  };
  let at = 0;
  let passed = 0;
  for (const chunk of chunks) {
    passed += walker.walk(chunk);
    const before = at;
    at += chunk.length;
    let fault: ProtocolError | null = null;
    try {
      parser.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (error.message === 'reserved bit is set') return;
      fault = error;
    }
    same('fault', fault?.message, walker.error?.message);
    same('closeCode', fault?.closeCode, walker.error?.closeCode);
    same('closed', closed, walker.closed);
    if (closed || fault !== null) {
      // What had come of an illegal header before this chunk has passed.
      same('bytes that pass', Math.max(boundaries.end, before), passed);
      if (fault !== null) same('atBoundary', boundaries.end >= before, walker.atBoundary);
      return;
    }
    same('atBoundary', parser.atBoundary, walker.atBoundary);
    same('bytes that pass', at, passed);
  }
}

function same(what: string, byParser: unknown, byWalker: unknown): void {
  if (byParser !== byWalker) {
    throw new Disagreement(`${what} differs`, ['FrameParser', byParser], ['BoundaryWalker', byWalker]);
  }
}
