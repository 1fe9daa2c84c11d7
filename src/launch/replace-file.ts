/** Files of a container, written whole or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '../sys/sync-directory.ts';

/**
 * @param durable whether it is there after the end of the machine, too: nothing of a container that goes with its end
 *   needs to be, and an fsync would cost more than all else that `run` does
 */
export function replaceFile(path: string, text: string, mode: number, durable: boolean = false): void {
  const fd = openSync(`${path}.new`, 'w', mode);
  try {
    writeFileSync(fd, text);
    if (durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  if (durable) syncDirectory(dirname(path));
}
