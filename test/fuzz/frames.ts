/**
 * Frames: any bytes, however they are cut, have one outcome, and a documented one.
 *
 *   whole ──▶ FrameParser + MessageAssembler ─┐
 *   chopped ▶ Session ────────────────────────┼─ the same messages, pings, pongs and end
 *   chopped ▶ Receiver of ws ─────────────────┘  but for WS_DIFFERENCES
 *   whole and chopped ▶ BoundaryWalker ─ ends frames, and refuses headers, where FrameParser does
 */
import { cut } from './cuts.ts';
import { type FrameInput, FrameInputs } from './frame-inputs.ts';
import { AssembledFrames, compareBoundaries, SessionFrames } from './frame-reader.ts';
import { HEADER_NOT_WHOLE, WS_DIFFERENCES, WsOutcome } from './frame-ws.ts';
import { Random } from './random.ts';
import { count, Disagreement, type Target } from './target.ts';

/** Of a header that lacks all but its first two bytes, and of a close that lacks its only byte. */
const MISSING_BYTES = 13;

export class FrameTarget implements Target {
  readonly name = 'frames';
  readonly unit = 'frame streams';
  readonly peer = 'ws';
  readonly differences = [...WS_DIFFERENCES, HEADER_NOT_WHOLE];
  readonly met = new Map<string, number>();
  readonly #random = new Random();
  readonly #inputs = new FrameInputs(this.#random);
  #input: FrameInput = this.#inputs.next();
  readonly #assembled = new AssembledFrames();
  readonly #session = new SessionFrames();
  readonly #ws = new WsOutcome();

  check(seed: number, index: number): void {
    this.#random.reset(seed, index);
    this.#input = this.#inputs.next();
    this.#judge(this.#input);
  }

  shown(): string {
    const { side, limits, bytes, cuts } = this.#input;
    return `read as a ${side}, ${JSON.stringify(limits)}, chunks ending at ${cuts.join(' ')}:\n${bytes.toString('hex')}`;
  }

  #judge(input: FrameInput): void {
    const { side, limits, bytes, cuts } = input;
    const whole = this.#assembled.read(side, limits, [Buffer.from(bytes)]);
    const chopped = this.#session.read(side, limits, cut(bytes, cuts));
    if (!chopped.equals(whole)) throw new Disagreement('The chunking matters', ['whole', whole], ['chopped', chopped]);
    compareBoundaries(side, [Buffer.from(bytes)]);
    compareBoundaries(side, cut(bytes, cuts));
    this.#compareWithWs(input);
  }

  #compareWithWs(input: FrameInput): void {
    const { side, limits, bytes, cuts } = input;
    const ours = this.#assembled.outcome;
    const theirs = this.#ws.read(side, limits, cut(bytes, cuts));
    if (theirs.agreesWith(ours)) return;
    const meant = WS_DIFFERENCES.find(({ explains }) => explains(ours, theirs));
    if (meant !== undefined) {
      count(this.met, meant.id);
    } else if (ours.end === null && (theirs.failed || theirs.longLengthAt !== null) && theirs.hasSameEvents(ours)) {
      count(this.met, HEADER_NOT_WHOLE.id);
      const completed = Buffer.concat([bytes, Buffer.alloc(MISSING_BYTES)]);
      this.#assembled.read(side, limits, [Buffer.from(completed)]);
      if (ours.end === null) throw new Disagreement('We go on where ws fails', ['ws', theirs]);
      this.#compareWithWs({ ...input, bytes: completed, cuts: [completed.length] });
    } else {
      throw new Disagreement('ws judges otherwise', ['we', ours], ['ws', theirs]);
    }
  }
}
