/** unlink(2) beside other work. By Node's own door: what removes blobs needs no FFI otherwise. */
import { unlink as unlinkCall } from 'node:fs';
import { promisify } from 'node:util';

const unlink = promisify(unlinkCall);

/**
 * Removes a file in the thread pool: the kernel frees what it has cached of it on the way, which takes a core 0.15 s for
 * each gigabyte. What is not there is no error.
 */
export async function unlinkAside(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
