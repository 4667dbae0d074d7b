/**
 * Sinks that remember what they were told, in forms that `assert.deepEqual` compares. Payloads are copied, for a sink
 * may not keep them.
 */
import type { Close } from '../../src/frame/close.ts';
import type { FrameHeader } from '../../src/frame/header.ts';
import type { DataOpcode, MessageSink } from '../../src/frame/message.ts';
import type { FrameSink } from '../../src/frame/parser.ts';
import type { FrameWriter, SessionSink } from '../../src/frame/session.ts';
import { Opcode } from '../../src/frame/vocabulary.ts';

/** One frame, its payload joined again: the same for every chunking. */
export interface RecordedFrame {
  fin: boolean;
  opcode: number;
  payload: string;
  /** False until the frame's last payload byte, or its empty end, was told. */
  whole: boolean;
}

/** What a FrameParser told. Payloads are hex. */
export class RecordingFrameSink implements FrameSink {
  readonly frames: RecordedFrame[] = [];

  onHeader(header: FrameHeader): void {
    this.frames.push({ fin: header.fin, opcode: header.opcode, payload: '', whole: false });
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    const frame = this.frames.at(-1);
    if (frame === undefined || frame.whole) throw new Error('payload of no frame');
    frame.payload += chunk.toString('hex', start, end);
    frame.whole = last;
  }
}

/** One event: `['text', 'Hello']`, `['binary', '0001']`, `['ping', '']`, `['pong', '']`, `['closed', 1000, 'bye']`. */
export type RecordedEvent = [what: string, ...details: (string | number)[]];

/** What a MessageAssembler or a Session told. Text is text, all other payloads are hex. */
export class RecordingSink implements MessageSink, SessionSink, FrameWriter {
  readonly batch = null;
  readonly events: RecordedEvent[] = [];
  readonly written: Buffer[] = [];

  write(bytes: Buffer): void {
    this.written.push(bytes);
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.events.push(opcode === Opcode.TEXT ? ['text', payload.toString()] : ['binary', payload.toString('hex')]);
  }

  onPing(payload: Buffer): void {
    this.events.push(['ping', payload.toString('hex')]);
  }

  onPong(payload: Buffer): void {
    this.events.push(['pong', payload.toString('hex')]);
  }

  onClose({ closeCode, closeReason }: Close): void {
    this.events.push(['close', closeCode, closeReason]);
  }

  onClosed({ closeCode, closeReason }: Close): void {
    this.events.push(['closed', closeCode, closeReason]);
  }
}
