/** Bytes to standard output, no faster than they are read. */
import { once } from 'node:events';

export async function writeAll(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain', { signal });
  }
}
