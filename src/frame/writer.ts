/**
 * Where a session's frames go: one write each, or put together in a batch that leaves as one.
 */

/** Frames that lie one behind the other, to leave in one write. */
export interface FrameBatch {
  /** Where the frames lie. `claim` may replace it. */
  readonly buffer: Buffer;
  /**
   * Makes the next `length` bytes of `buffer` part of the batch. The caller fills them before it does anything else.
   *
   * @returns where they begin, or -1 if there is no room for them
   */
  claim(length: number): number;
}

export interface FrameWriter {
  /** What the next frame is encoded into; null while each frame is written by itself. */
  readonly batch: FrameBatch | null;
  /** Writes whole frames, behind whatever is in the batch. The Buffer is not changed any more. */
  write(frames: Buffer): void;
}
