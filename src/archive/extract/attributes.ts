/** Owners, modes and extended attributes of what was just made. */
import { TslayerError } from '../../errors.ts';
import { O_DIRECTORY, O_RDONLY, openAt } from '../../sys/at.ts';
import { closeFd, errnos, hasErrno, SystemCallError } from '../../sys/libc.ts';
import { setMode, setModeFd, setOwner, setOwnerFd } from '../../sys/make-files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { listXattrs, removeXattr, setXattr, setXattrFd } from '../../sys/xattr.ts';
import type { TarEntry, Xattr } from '../entry.ts';
import { quote } from '../tar/bytes.ts';
import { isReservedXattr } from '../tar/xattrs.ts';
import type { Warnings } from './warnings.ts';

/** The result of a call of sys/make-files: an error unless it is one of those expected. */
export function must(result: number, doing: string, path: Uint8Array): number {
  if (result >= 0) return result;
  if (result === -errnos.ENAMETOOLONG) {
    throw new TslayerError('UNSUPPORTED', `${quote(path)}: a path or name too long for the file system`);
  }
  throw new SystemCallError(`cannot ${doing}`, -result, quote(path));
}

const DEFAULT_ACL = Buffer.from('system.posix_acl_default');

/** A directory's default ACL goes to all that is made in it: it must wait until nothing is. */
export function isDefaultAcl({ name }: Xattr): boolean {
  return DEFAULT_ACL.equals(name);
}

/** @param to an open file, or a path whose final link is not followed */
export function setXattrs(
  to: number | Uint8Array,
  entry: TarEntry,
  xattrs: readonly Xattr[],
  warnings: Warnings,
): void {
  for (const { name, value } of xattrs) {
    try {
      if (typeof to === 'number') setXattrFd(to, name, value);
      else setXattr(to, name, value);
    } catch (error) {
      // Too large for the file system (ENOSPC is ext4's word for it), or not for this kind of file or user.
      if (!hasErrno(error, 'EOPNOTSUPP', 'EPERM', 'ENOSPC', 'E2BIG', 'ERANGE', 'EINVAL')) throw error;
      warnings.add(`${quote(entry.path)}: cannot set ${quote(name)}: ${(error as Error).message}`);
    }
  }
}

/** A directory's attributes, all of them, on one that was there before; what it had and the entry lacks goes. */
export function resetDirectory(path: Uint8Array, entry: TarEntry, warnings: Warnings): void {
  const fd = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    must(setOwnerFd(fd, entry.uid, entry.gid), 'chown', path);
    must(setModeFd(fd, entry.mode & 0o1777), 'chmod', path);
  } finally {
    closeFd(fd);
  }
  for (const name of listXattrs(path)) {
    const text = name.toString('latin1');
    if (!isReservedXattr(text) && text !== 'security.selinux') removeXattr(path, name);
  }
  setXattrs(
    path,
    entry,
    entry.xattrs.filter((xattr) => !isDefaultAcl(xattr)),
    warnings,
  );
}

/** Owner and xattrs of a directory, link or node that was just made. */
export function finishPath(path: Uint8Array, entry: TarEntry, xattrs: readonly Xattr[], warnings: Warnings): void {
  if (entry.uid !== 0 || entry.gid !== 0) {
    must(setOwner(path, entry.uid, entry.gid), 'chown', path);
    // chown(2) clears setuid and setgid, also of root's, on everything but directories.
    if ((entry.mode & 0o6000) !== 0 && entry.type !== 'directory' && entry.type !== 'symlink') {
      must(setMode(path, entry.mode), 'chmod', path);
    }
  }
  if (xattrs.length > 0) setXattrs(path, entry, xattrs, warnings);
}
