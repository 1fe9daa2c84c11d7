/** What of a file's attributes makes a difference between two snapshots, and its form in a layer. */
import type { EntryType, TarEntry, Xattr } from '../../src/archive/entry.ts';
import { entryTypeOf } from '../../src/archive/entry-type.ts';
import { isReservedXattr } from '../../src/archive/tar/xattrs.ts';
import { readlinkAt, type StatAt } from '../../src/sys/at.ts';
import { getXattr, getXattrFd, listXattrsAt, listXattrsFd, procPath } from '../../src/sys/xattr.ts';

/** A file as it is reached: by the directory that holds it, and for directories by its own descriptor. */
export interface Located {
  readonly parentFd: number;
  readonly name: Buffer;
  /** Of a directory; -1 for the rest. */
  readonly fd: number;
  readonly stat: StatAt;
}

export function typeOf(stat: StatAt): EntryType | undefined {
  return entryTypeOf(stat.mode);
}

/** Set by a machine's own security modules, meaningless on another; and XFS' second name for ACLs. */
const MACHINE_XATTRS = [
  'security.selinux',
  'security.ima',
  'security.evm',
  'security.SMACK64',
  'system.nfs4_acl',
  'trusted.SGI_ACL_FILE',
  'trusted.SGI_ACL_DEFAULT',
];

export function isCarried(name: Uint8Array): boolean {
  const text = Buffer.from(name).toString('latin1');
  return !isReservedXattr(text) && !MACHINE_XATTRS.includes(text);
}

/** Those that a layer carries, sorted by name. */
export function xattrsOf({ fd, parentFd, name }: Located): Xattr[] {
  const names = fd === -1 ? listXattrsAt(parentFd, name) : listXattrsFd(fd);
  if (names.length === 0) return [];
  const path = fd === -1 ? procPath(parentFd, name) : undefined;
  const carried = names.filter(isCarried).sort(Buffer.compare);
  return carried.flatMap((xattr) => {
    const value = path === undefined ? getXattrFd(fd, xattr) : getXattr(path, xattr);
    return value === undefined ? [] : [{ name: xattr, value }];
  });
}

/** Everything but the content of regular files. */
export function sameMetadata(a: Located, b: Located): boolean {
  const [x, y] = [a.stat, b.stat];
  if (x.mode !== y.mode || x.uid !== y.uid || x.gid !== y.gid || !sameTime(x, y)) return false;
  const type = typeOf(x);
  if (type === 'file' && x.size !== y.size) return false;
  if (type === 'symlink' && !readlinkAt(a.parentFd, a.name).equals(readlinkAt(b.parentFd, b.name))) return false;
  const device = type === 'char' || type === 'block';
  if (device && (x.deviceMajor !== y.deviceMajor || x.deviceMinor !== y.deviceMinor)) return false;
  return sameXattrs(xattrsOf(a), xattrsOf(b));
}

type Time = Pick<StatAt, 'mtimeSeconds' | 'mtimeNanoseconds'>;

function sameTime(a: Time, b: Time): boolean {
  return a.mtimeSeconds === b.mtimeSeconds && a.mtimeNanoseconds === b.mtimeNanoseconds;
}

export function sameXattrs(a: readonly Xattr[], b: readonly Xattr[]): boolean {
  const same = (x: Uint8Array, y: Uint8Array | undefined): boolean => y !== undefined && Buffer.compare(x, y) === 0;
  return (
    a.length === b.length &&
    a.every(({ name, value }, index) => same(name, b[index]?.name) && same(value, b[index]?.value))
  );
}

const NOTHING = Buffer.alloc(0);

/** The entry of a layer that makes this file; a regular file's `segments` are the caller's to add. */
export function entryOf(located: Located, type: EntryType, path: Buffer): TarEntry {
  const { stat } = located;
  const device = type === 'char' || type === 'block';
  return {
    type,
    path,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds },
    size: type === 'file' ? stat.size : 0,
    linkname: type === 'symlink' ? readlinkAt(located.parentFd, located.name) : NOTHING,
    deviceMajor: device ? stat.deviceMajor : 0,
    deviceMinor: device ? stat.deviceMinor : 0,
    xattrs: xattrsOf(located),
    dataOffset: 0,
    storedSize: type === 'file' ? stat.size : 0,
  };
}

/**
 * A further name of a file that the layer has already. Attributes are those of the first and are said again: docker
 * and containerd chown each name that they make, by which the kernel drops the file's capabilities, and set them
 * anew only when this entry has them.
 */
export function linkTo(first: Buffer, located: Located, path: Buffer): TarEntry {
  return { ...entryOf(located, 'hardlink', path), linkname: first };
}
