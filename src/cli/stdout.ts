/** Bytes to standard output, no faster than they are read. */
import { once } from 'node:events';
import { out } from './streams.ts';

export async function writeAll(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    if (!out.write(chunk)) await once(out.stream, 'drain', { signal });
  }
}
