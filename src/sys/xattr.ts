/** Extended attributes by raw bytes, never following a final symbolic link. xattr(7). */
import { check, cstring, errnos, lastErrno, native, type PathLike, rawSyscall } from './libc.ts';

const cSet = native('int', 'lsetxattr', ['path', 'path', 'bytes', 'ulong', 'int']);
const cGet = native('long', 'lgetxattr', ['path', 'path', 'bytes', 'ulong']);
const cList = native('long', 'llistxattr', ['path', 'bytes', 'ulong']);
const cRemove = native('int', 'lremovexattr', ['path', 'path']);
const cFset = native('int', 'fsetxattr', ['int', 'path', 'bytes', 'ulong', 'int']);

/** The kernel's own limits: a name's list and a value fit in 64 KiB each (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const MAX = 65536;

export function setXattr(path: PathLike, name: PathLike, value: Uint8Array): void {
  check(cSet(cstring(path), cstring(name), value, value.length, 0), 'lsetxattr', path);
}

export function setXattrFd(fd: number, name: PathLike, value: Uint8Array): void {
  check(cFset(fd, cstring(name), value, value.length, 0), 'fsetxattr', name);
}

/** The value, or undefined when the file has none of that name (or its file system has none at all). */
export function getXattr(path: PathLike, name: PathLike): Buffer | undefined {
  const value = scratch();
  const length = cGet(cstring(path), cstring(name), value, MAX);
  if (length >= 0) return Buffer.from(value.subarray(0, length));
  if (lastErrno() === errnos.ENODATA || lastErrno() === errnos.EOPNOTSUPP) return undefined;
  check(-1, 'lgetxattr', path);
  return undefined;
}

/** Names in the kernel's order; empty where the file system has no extended attributes. */
export function listXattrs(path: PathLike): Buffer[] {
  const list = scratch();
  const length = cList(cstring(path), list, MAX);
  if (length === -1 && lastErrno() === errnos.EOPNOTSUPP) return [];
  return splitNames(list, check(length, 'llistxattr', path));
}

/** Linux 6.13, the same number everywhere. */
const sysListAt = rawSyscall(465, ['int', 'bytes', 'uint', 'bytes', 'ulong']);
const AT_SYMLINK_NOFOLLOW = 0x100;
let hasListAt = true;

/** As listXattrs, of the file `name` in an open directory. A kernel without the call is asked through /proc. */
export function listXattrsAt(directory: number, name: Uint8Array): Buffer[] {
  if (hasListAt) {
    const list = scratch();
    const length = sysListAt(directory, cstring(name), AT_SYMLINK_NOFOLLOW, list, MAX);
    if (length >= 0) return splitNames(list, length);
    if (lastErrno() === errnos.EOPNOTSUPP) return [];
    // Filters of system calls answer EPERM to what they do not know.
    if (lastErrno() !== errnos.ENOSYS && lastErrno() !== errnos.EPERM) check(-1, 'listxattrat', name);
    hasListAt = false;
  }
  return listXattrs(procPath(directory, name));
}

/** A path to a file in an open directory, for calls that take no directory. */
export function procPath(directory: number, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
}

function splitNames(list: Buffer, length: number): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < length; ) {
    const end = list.indexOf(0, start);
    names.push(Buffer.from(list.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

/** Removes an attribute; one that is not there is no error. */
export function removeXattr(path: PathLike, name: PathLike): void {
  if (cRemove(cstring(path), cstring(name)) === -1 && lastErrno() !== errnos.ENODATA) {
    check(-1, 'lremovexattr', path);
  }
}

let shared: Buffer | undefined;
/** One buffer a thread: calls are synchronous and copy what they keep. */
function scratch(): Buffer {
  shared ??= Buffer.allocUnsafeSlow(MAX);
  return shared;
}

const cFremove = native('int', 'fremovexattr', ['int', 'path']);
const cFget = native('long', 'fgetxattr', ['int', 'path', 'bytes', 'ulong']);
const cFlist = native('long', 'flistxattr', ['int', 'bytes', 'ulong']);

/** As getXattr, of an open file (not one opened with O_PATH). */
export function getXattrFd(fd: number, name: PathLike): Buffer | undefined {
  const value = scratch();
  const length = cFget(fd, cstring(name), value, MAX);
  if (length >= 0) return Buffer.from(value.subarray(0, length));
  if (lastErrno() === errnos.ENODATA || lastErrno() === errnos.EOPNOTSUPP) return undefined;
  check(-1, 'fgetxattr', name);
  return undefined;
}

/** As listXattrs, of an open file. */
export function listXattrsFd(fd: number): Buffer[] {
  const list = scratch();
  const length = cFlist(fd, list, MAX);
  if (length === -1 && lastErrno() === errnos.EOPNOTSUPP) return [];
  return splitNames(list, check(length, 'flistxattr'));
}

/** As removeXattr, of an open file. */
export function removeXattrFd(fd: number, name: PathLike): void {
  if (cFremove(fd, cstring(name)) === -1 && lastErrno() !== errnos.ENODATA) check(-1, 'fremovexattr', name);
}
