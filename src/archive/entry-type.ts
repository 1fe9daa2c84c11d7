/** What of a file system's types an archive holds. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from '../sys/files.ts';
import type { EntryType } from './entry.ts';

const TYPES: Readonly<Record<number, EntryType>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'symlink',
  [S_IFCHR]: 'char',
  [S_IFBLK]: 'block',
  [S_IFIFO]: 'fifo',
};

/** Undefined for sockets: no archive holds them, and a process makes its own anew. */
export function entryTypeOf(mode: number): EntryType | undefined {
  return TYPES[mode & S_IFMT];
}
