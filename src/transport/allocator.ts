/**
 * Warm memory for reads: every read of an accepted socket is given 64 KiB by Node, most of which goes back at once.
 *
 * glibc takes requests of 128 KiB and more from the kernel, and gives its own memory back to it past that much, until it
 * has seen a larger piece freed: then both bounds rise. One large piece that is never touched, and so costs no memory,
 * spares a busy daemon a page fault for every 4 KiB it reads.
 */
const LARGE_BYTES = 16 * 1024 * 1024;

let told = false;

/** Once a process; later calls do nothing. On other allocators it changes nothing. */
export function keepFreedMemory(): void {
  if (told) return;
  told = true;
  // Freed with the next garbage.
  Buffer.allocUnsafeSlow(LARGE_BYTES);
}

/** The most bytes of a read. Node gives a smaller one memory of its own size. */
const FULL_READ_BYTES = 64 * 1024;

/** Node 20 does not have it yet. */
interface Transferable {
  transfer?: (newByteLength: number) => ArrayBuffer;
}

/**
 * Frees the memory of a full read now, and not with the next garbage, so that the next read is given the same memory while
 * it is warm. On Node 20 it does nothing.
 *
 * @param chunk neither it nor any view of it is used again: their length is 0 then
 */
export function freeChunk(chunk: Buffer): void {
  const memory: ArrayBufferLike & Transferable = chunk.buffer;
  if (chunk.length === FULL_READ_BYTES && memory.byteLength === FULL_READ_BYTES) memory.transfer?.(0);
}
