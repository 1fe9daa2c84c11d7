/** File system calls that Node lacks, or that lose something there: whole nanoseconds, devices, clones, holes. */
import { check, cstring, errnos, lastErrno, native, type PathLike, rawSyscall } from './libc.ts';
import { AT_FDCWD } from './mount-api.ts';

const cMknod = native('int', 'mknod', ['path', 'uint', 'ulong']);
const cUtimensat = native('int', 'utimensat', ['int', 'path', 'bytes', 'int']);
const cFutimens = native('int', 'futimens', ['int', 'bytes']);
const cSyncfs = native('int', 'syncfs', ['int']);
const cSyncFileRange = native('int', 'sync_file_range', ['int', 'long', 'long', 'uint']);
const cIoctlInt = native('int', 'ioctl', ['int', 'ulong', 'long']);
const cLseek = native('long', 'lseek', ['int', 'long', 'int']);
const cFallocate = native('int', 'fallocate', ['int', 'int', 'long', 'long']);
const cCopyFileRange = native('long', 'copy_file_range', ['int', 'bytes', 'int', 'bytes', 'ulong', 'uint']);
const sysOpenat2 = rawSyscall(437, ['int', 'path', 'bytes', 'ulong']);
const cRenameat2 = native('int', 'renameat2', ['int', 'path', 'int', 'path', 'uint']);

const AT_SYMLINK_NOFOLLOW = 0x100;
const FICLONE = 0x40049409;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SYNC_FILE_RANGE_WRITE = 2;
const RENAME_EXCHANGE = 2;

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export const RESOLVE_NO_XDEV = 1;
export const RESOLVE_NO_MAGICLINKS = 2;
export const RESOLVE_NO_SYMLINKS = 4;
export const RESOLVE_BENEATH = 8;
export const RESOLVE_IN_ROOT = 16;

/** The kernel's device number of a major and a minor (glibc's gnu_dev_makedev). */
export function makedev(major: number, minor: number): bigint {
  const [ma, mi] = [BigInt(major), BigInt(minor)];
  return ((ma & 0xfffff000n) << 32n) | ((ma & 0xfffn) << 8n) | ((mi & 0xffffff00n) << 12n) | (mi & 0xffn);
}

export function majorOf(device: bigint | number): number {
  const d = BigInt(device);
  return Number(((d >> 32n) & 0xfffff000n) | ((d >> 8n) & 0xfffn));
}

export function minorOf(device: bigint | number): number {
  const d = BigInt(device);
  return Number(((d >> 12n) & 0xffffff00n) | (d & 0xffn));
}

/** mknod(2): `mode` holds the type (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK) and the permissions. */
export function mknod(path: PathLike, mode: number, device: bigint = 0n): void {
  check(cMknod(cstring(path), mode, device), 'mknod', path);
}

const times = Buffer.alloc(32);

function packTimes(atimeSec: bigint, atimeNsec: number, mtimeSec: bigint, mtimeNsec: number): Buffer {
  times.writeBigInt64LE(atimeSec, 0);
  times.writeBigInt64LE(BigInt(atimeNsec), 8);
  times.writeBigInt64LE(mtimeSec, 16);
  times.writeBigInt64LE(BigInt(mtimeNsec), 24);
  return times;
}

/** Sets access and modification time to the nanosecond, not following a final link. Seconds may be negative. */
export function setTimes(path: PathLike, seconds: number, nanoseconds: number): void {
  const packed = packTimes(BigInt(seconds), nanoseconds, BigInt(seconds), nanoseconds);
  check(cUtimensat(AT_FDCWD, cstring(path), packed, AT_SYMLINK_NOFOLLOW), 'utimensat', path);
}

export function setTimesFd(fd: number, seconds: number, nanoseconds: number): void {
  check(cFutimens(fd, packTimes(BigInt(seconds), nanoseconds, BigInt(seconds), nanoseconds)), 'futimens');
}

/** Writes everything of the file system that `fd` lies on to its disk. */
export function syncfs(fd: number): void {
  check(cSyncfs(fd), 'syncfs');
}

/** Starts writing a range to disk without waiting, so that a later fdatasync has little left. */
export function startWriteback(fd: number, offset: number, length: number): void {
  cSyncFileRange(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

/** FICLONE: makes `target` share all of `source`'s blocks. False where the file system cannot. */
export function reflink(sourceFd: number, targetFd: number): boolean {
  if (cIoctlInt(targetFd, FICLONE, sourceFd) === 0) return true;
  const errno = lastErrno();
  if ([errnos.EOPNOTSUPP, errnos.EXDEV, errnos.EINVAL, errnos.ENOTTY, errnos.ENOSYS].includes(errno)) return false;
  check(-1, 'ioctl FICLONE');
  return false;
}

/** Copies up to `length` bytes from and to the descriptors' own offsets inside the kernel; bytes copied, 0 at the end. */
export function copyFileRange(sourceFd: number, targetFd: number, length: number): number {
  return check(cCopyFileRange(sourceFd, null, targetFd, null, length, 0), 'copy_file_range');
}

/** lseek(2) to the next data at or after `offset`; undefined when only a hole is left. */
export function seekData(fd: number, offset: number): number | undefined {
  const found = cLseek(fd, offset, SEEK_DATA);
  if (found === -1 && lastErrno() === errnos.ENXIO) return undefined;
  return check(found, 'lseek');
}

/** lseek(2) to the next hole at or after `offset` (the end of the file counts as one). */
export function seekHole(fd: number, offset: number): number {
  return check(cLseek(fd, offset, SEEK_HOLE), 'lseek');
}

export function seek(fd: number, offset: number): void {
  check(cLseek(fd, offset, 0), 'lseek');
}

export function punchHole(fd: number, offset: number, length: number): void {
  check(cFallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length), 'fallocate');
}

/**
 * How often openat2(2) is asked again when it says EAGAIN: somebody renamed or mounted something, anywhere, while it
 * went up by a `..`, so that it cannot tell whether that led out.
 */
export const OPENAT2_TRIES = 200;

/** openat2(2): `resolve` is RESOLVE_*; the kernel does the confinement. */
export function openat2(dirFd: number, path: PathLike, flags: number, resolve: number, mode: number = 0): number {
  const how = new Uint8Array(new BigUint64Array([BigInt(flags), BigInt(mode), BigInt(resolve)]).buffer);
  for (let tries = 1; ; tries++) {
    const fd = sysOpenat2(dirFd, cstring(path), how, how.length);
    if (fd !== -1 || lastErrno() !== errnos.EAGAIN || tries === OPENAT2_TRIES) return check(fd, 'openat2', path);
  }
}

/** Swaps two names at once. */
export function exchange(a: PathLike, b: PathLike): void {
  check(cRenameat2(AT_FDCWD, cstring(a), AT_FDCWD, cstring(b), RENAME_EXCHANGE), 'renameat2', a);
}
