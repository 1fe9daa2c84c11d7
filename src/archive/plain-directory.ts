/** A directory that nobody speaks of: the same on every machine. */
import type { TarEntry } from './entry.ts';

export const PLAIN_DIRECTORY: Readonly<Omit<TarEntry, 'path'>> = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  size: 0,
  linkname: Buffer.alloc(0),
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: [],
  dataOffset: 0,
  storedSize: 0,
};
