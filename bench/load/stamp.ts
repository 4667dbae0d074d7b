/** The time at which a message was written, in the message itself: a decimal number at the beginning of its payload. */

/** Sixteen digits hold all microseconds that a number does. */
export const STAMP_BYTES = 16;

const ZERO = 0x30;

/** In microseconds; all processes of a machine share it. */
export function clockUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** @returns a copy with the moment at `offset`, so that bytes that wait to be written keep their own moment */
export function stamped(bytes: Buffer, offset: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.write(String(Math.floor(clockUs())).padStart(STAMP_BYTES, '0'), offset, 'latin1');
  return copy;
}

/** Reads a stamp digit by digit, because chunks may end anywhere. @returns NaN if the bytes are no stamp */
export function readDigits(stampUs: number, chunk: Buffer, start: number, end: number): number {
  let read = stampUs;
  for (let at = start; at < end; at++) {
    const digit = (chunk[at] as number) - ZERO;
    read = digit >= 0 && digit <= 9 ? read * 10 + digit : Number.NaN;
  }
  return read;
}
