/** What a program has written before its end, when others that it started still have its pipe or terminal. */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isReadable } from '../sys/pipe.ts';

/** More than a pipe or a terminal holds: the rest is of those who go on writing. */
const MOST_BYTES = 128 * 1024;
const LOOK_AGAIN_MS = 2;

/** Resolves when it has come out of the stream. @param fd what the stream reads */
export async function lastWords(stream: Readable, fd: number): Promise<void> {
  let passed = 0;
  stream.on('data', (data: Buffer) => {
    passed += data.length;
  });
  const isOver = (): boolean => stream.destroyed || stream.readableEnded || passed > MOST_BYTES;
  while (!isOver() && (isReadable(fd) || stream.readableLength > 0)) await delay(LOOK_AGAIN_MS);
}
