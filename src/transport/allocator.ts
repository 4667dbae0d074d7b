/**
 * What the C allocator should know of us. Every read of an accepted socket is given 64 KiB, most of which goes back at once.
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
