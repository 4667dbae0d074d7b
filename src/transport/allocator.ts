/**
 * Warm memory for reads: every read of an accepted socket is given 64 KiB by Node, most of which goes back at once.
 *
 * glibc takes requests of 128 KiB and more from the kernel, and gives its own memory back to it past that much, until it
 * has seen a larger piece freed: then both bounds rise. One large piece that is never touched, and so costs no memory,
 * spares a busy daemon a page fault for every 4 KiB it reads.
 */
import type { MessagePort } from 'node:worker_threads';

const LARGE_BYTES = 16 * 1024 * 1024;

let told = false;

/** Once a process; later calls do nothing. On other allocators it changes nothing. */
export function keepFreedMemory(): void {
  if (told) return;
  told = true;
  // Freed with the next garbage.
  Buffer.allocUnsafeSlow(LARGE_BYTES);
}

/** Below this, freeing costs what it saves. */
const LARGE_CHUNK_BYTES = 16 * 1024;

/** What Node has since 22. */
interface Transferable {
  transfer?: (newByteLength: number) => ArrayBuffer;
}

/** Whatever is transferred to a closed port is freed, for it goes nowhere. */
let closedPort: MessagePort | null = null;

/**
 * Frees what was read, now and not with the next garbage, so that the next read is given the same memory while it is warm.
 * What is small or shares its memory is left alone.
 *
 * @param chunk neither it nor any view of it is used again: their length is 0 then
 */
export function freeChunk(chunk: Buffer): void {
  const memory = chunk.buffer as ArrayBuffer & Transferable;
  if (chunk.length < LARGE_CHUNK_BYTES || chunk.length !== memory.byteLength) return;
  if (memory.transfer !== undefined) {
    memory.transfer(0);
    return;
  }
  closedPort ??= newClosedPort();
  closedPort.postMessage(null, [memory]);
}

function newClosedPort(): MessagePort {
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}
