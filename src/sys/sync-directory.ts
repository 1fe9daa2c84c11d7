import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Names in a directory are there after a power cut, too. fsync(2). */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
