/**
 * Warm memory for reads. Node allocates 64 KiB for every read of an accepted socket, and frees most of it at once.
 *
 * glibc takes 128 KiB and more from the kernel directly, and returns its own free memory to the kernel past the same
 * bound. Both bounds rise once it has freed a larger piece. One large piece, which is never touched and so costs no
 * memory, saves a busy daemon a page fault for every 4 KiB that it reads.
 */
const LARGE_BYTES = 16 * 1024 * 1024;

let told = false;

/** Makes glibc keep freed memory. Only the first call in a process has an effect. Other allocators are not affected. */
export function keepFreedMemory(): void {
  if (told) return;
  told = true;
  // The garbage collector frees it.
  Buffer.allocUnsafeSlow(LARGE_BYTES);
}

/** The largest read, in bytes. Node shrinks the memory of a smaller read to its size. */
const FULL_READ_BYTES = 64 * 1024;

/** Node 20 does not have `transfer`. */
interface Transferable {
  transfer?: (newByteLength: number) => ArrayBuffer;
}

/**
 * Frees the memory of a full read now, and not with the next garbage collection, so that the next read gets the same
 * memory while it is warm. On Node 20 it does nothing.
 *
 * @param chunk the chunk, which must not be used again, nor any view of it: their length is 0 afterwards
 */
export function freeChunk(chunk: Buffer): void {
  const memory: ArrayBufferLike & Transferable = chunk.buffer;
  if (chunk.length === FULL_READ_BYTES && memory.byteLength === FULL_READ_BYTES) memory.transfer?.(0);
}
