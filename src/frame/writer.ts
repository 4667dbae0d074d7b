/**
 * A session writes its frames one by one, or puts them together in a batch that leaves in one write.
 */

/** Frames that lie one behind the other, to leave in one write. */
export interface FrameBatch {
  /** Holds the frames. `claim` may replace it. */
  readonly buffer: Buffer;
  /**
   * Makes the next `length` bytes of `buffer` part of the batch. The caller fills them before it does anything else.
   *
   * @returns their offset in `buffer`, or -1 if there is no room for them
   */
  claim(length: number): number;
}

export interface FrameWriter {
  /** The next frame is encoded into it; null while each frame is written by itself. */
  readonly batch: FrameBatch | null;
  /** Writes whole frames, behind those in the batch. The Buffer must not be changed after it. */
  write(frames: Buffer): void;
}
