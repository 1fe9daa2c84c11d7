/** The C library's allocator, where V8 keeps the memory of array buffers. */
import { type Native, native } from './libc.ts';

const M_MMAP_THRESHOLD = -3;
/** glibc's first choice is 128 KiB; from here on a mapping of its own costs little beside filling it. */
const LARGE = 1 << 18;

let done = false;

/**
 * Blocks of 256 KiB and more go back to the system when they are freed. glibc does that only until the first large
 * block is freed: from then on it cuts blocks up to that size out of its heaps, and columns that grow step by step leave
 * behind what nobody can use (30 MB beside a million names).
 */
export function returnLargeBlocks(): void {
  if (done) return;
  done = true;
  mallopt()?.(M_MMAP_THRESHOLD, LARGE);
}

/** musl has none, and gives such blocks back by itself. */
function mallopt(): Native | undefined {
  try {
    return native('int', 'mallopt', ['int', 'int']);
  } catch {
    return undefined;
  }
}
