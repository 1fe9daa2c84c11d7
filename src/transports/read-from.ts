/** Positioned reads as a stream: several may go on over one open file. */
import type { FileHandle } from 'node:fs/promises';

const CHUNK = 1024 * 1024;

/** Up to `length` bytes from `position`; ends early at the end of the file. Each chunk is the receiver's own. */
export async function* readFrom(file: FileHandle, position: number, length: number): AsyncGenerator<Uint8Array, void> {
  let at = position;
  let left = length;
  while (left > 0) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, left));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    at += bytesRead;
    left -= bytesRead;
  }
}
