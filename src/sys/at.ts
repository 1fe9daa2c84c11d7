/**
 * Calls relative to an open directory: openat(2), statx(2), getdents64(2) and their family. A walker that holds the
 * directory's descriptor cannot be led astray by a name that became a symbolic link meanwhile, knows no PATH_MAX,
 * and is twice as fast as by paths.
 *
 * Names are single components. Nothing here follows a final symbolic link.
 */
import { check, cstring, errnos, hasErrno, lastErrno, native, type PathLike, rawSyscall } from './libc.ts';

const cOpenat = native('int', 'openat', ['int', 'path', 'int', 'uint']);
const cStatx = native('int', 'statx', ['int', 'path', 'int', 'uint', 'bytes']);
const cUnlinkat = native('int', 'unlinkat', ['int', 'path', 'int']);
const cMkdirat = native('int', 'mkdirat', ['int', 'path', 'uint']);
const cMknodat = native('int', 'mknodat', ['int', 'path', 'uint', 'ulong']);
const cSymlinkat = native('int', 'symlinkat', ['path', 'int', 'path']);
const cReadlinkat = native('long', 'readlinkat', ['int', 'path', 'bytes', 'ulong']);
const cLinkat = native('int', 'linkat', ['int', 'path', 'int', 'path', 'int']);
const cRenameat = native('int', 'renameat', ['int', 'path', 'int', 'path']);
const cFchownat = native('int', 'fchownat', ['int', 'path', 'uint', 'uint', 'int']);
const cFchmodat = native('int', 'fchmodat', ['int', 'path', 'uint', 'int']);
const cFchown = native('int', 'fchown', ['int', 'uint', 'uint']);
const cFchmod = native('int', 'fchmod', ['int', 'uint']);
const cFutimens = native('int', 'futimens', ['int', 'bytes']);
const cUtimensat = native('int', 'utimensat', ['int', 'path', 'bytes', 'int']);
const sysGetdents = rawSyscall(process.arch === 'x64' ? 217 : 61, ['int', 'bytes', 'ulong']);

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_NOATIME = 0o1000000;
/** Two that x86 and ARM number differently. */
export const O_DIRECTORY: number = process.arch === 'x64' ? 0o200000 : 0o40000;
export const O_NOFOLLOW: number = process.arch === 'x64' ? 0o400000 : 0o100000;
export const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

/** openat(2), always with O_CLOEXEC and O_NOFOLLOW. */
export function openAt(dirFd: number, name: PathLike, flags: number, mode: number = 0): number {
  return check(cOpenat(dirFd, cstring(name), flags | O_NOFOLLOW | O_CLOEXEC, mode), 'openat', name);
}

/** Opens a directory for walking; one that became something else meanwhile is an error (ENOTDIR, ELOOP). */
export function openDirectoryAt(dirFd: number, name: PathLike): number {
  return openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
}

/** The fields of statx(2) that layers care for. Times and sizes are exact up to 2^53. */
export interface StatAt {
  /** Type (S_IFMT) and permissions. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  readonly size: number;
  /** 512-byte blocks. */
  readonly blocks: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** The file system's own device, `major:minor`. */
  readonly fileSystem: string;
  /** Another file system, or a bind mount, is mounted here (Linux 5.8 tells). */
  readonly mountRoot: boolean;
}

const stat = Buffer.alloc(256);
const EMPTY = cstring('');

/** The file `name` in `dirFd`; undefined when there is none. */
export function statAt(dirFd: number, name: PathLike): StatAt | undefined {
  const result = cStatx(dirFd, cstring(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, stat);
  if (result === -1 && lastErrno() === errnos.ENOENT) return undefined;
  check(result, 'statx', name);
  return unpackStat();
}

/** The open file itself. */
export function statFd(fd: number): StatAt {
  check(cStatx(fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, stat), 'statx');
  return unpackStat();
}

/** Whether an open file is the one that `stat` tells of. */
export function isSameFile(fd: number, { ino, fileSystem }: StatAt): boolean {
  check(cStatx(fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, stat), 'statx');
  return stat.readBigUInt64LE(32) === ino && fileSystemOf() === fileSystem;
}

/** Whether an open file is a regular one of this size. */
export function isSameSize(fd: number, size: number): boolean {
  check(cStatx(fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, stat), 'statx');
  return (stat.readUInt16LE(28) & 0o170000) === 0o100000 && number64(40) === size;
}

let [lastMajor, lastMinor, lastFileSystem] = [-1, -1, ''];

/** A walk sees few file systems: its text is made once for all their files. */
function fileSystemOf(): string {
  const [major, minor] = [stat.readUInt32LE(136), stat.readUInt32LE(140)];
  if (major !== lastMajor || minor !== lastMinor) {
    [lastMajor, lastMinor, lastFileSystem] = [major, minor, `${major}:${minor}`];
  }
  return lastFileSystem;
}

/** Layout of struct statx: the same on every architecture, linux/stat.h. */
function unpackStat(): StatAt {
  return {
    nlink: stat.readUInt32LE(16),
    uid: stat.readUInt32LE(20),
    gid: stat.readUInt32LE(24),
    mode: stat.readUInt16LE(28),
    ino: stat.readBigUInt64LE(32),
    size: number64(40),
    blocks: number64(48),
    ctimeSeconds: seconds(96),
    ctimeNanoseconds: stat.readUInt32LE(104),
    mtimeSeconds: seconds(112),
    mtimeNanoseconds: stat.readUInt32LE(120),
    deviceMajor: stat.readUInt32LE(128),
    deviceMinor: stat.readUInt32LE(132),
    fileSystem: fileSystemOf(),
    mountRoot: (stat.readUInt32LE(8) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

function number64(offset: number): number {
  return stat.readUInt32LE(offset) + stat.readUInt32LE(offset + 4) * 2 ** 32;
}

function seconds(offset: number): number {
  return stat.readUInt32LE(offset) + stat.readInt32LE(offset + 4) * 2 ** 32;
}

export interface DirectoryEntry {
  readonly name: Buffer;
  /** DT_*: 4 directory, 8 file, 10 symbolic link …; 0 where the file system does not say. */
  readonly type: number;
}

export const DT_UNKNOWN = 0;
export const DT_DIR = 4;
export const DT_REG = 8;
export const DT_LNK = 10;

const entries = Buffer.allocUnsafeSlow(64 * 1024);

/** Everything in an open directory but `.` and `..`, in the file system's order. Reads on from the descriptor's offset. */
export function readDirectoryFd(fd: number): DirectoryEntry[] {
  const found: DirectoryEntry[] = [];
  for (;;) {
    const length = check(sysGetdents(fd, entries, entries.length), 'getdents64');
    if (length === 0) return found;
    for (let at = 0; at < length; at += entries.readUInt16LE(at + 16)) {
      const start = at + 19;
      const name = entries.subarray(start, entries.indexOf(0, start));
      const dots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
      if (!dots) found.push({ name: Buffer.from(name), type: entries[at + 18] ?? DT_UNKNOWN });
    }
  }
}

/** Removes a name that is no directory; one that is not there is no error. */
export function unlinkAt(dirFd: number, name: PathLike): void {
  if (cUnlinkat(dirFd, cstring(name), 0) === -1 && lastErrno() !== errnos.ENOENT) check(-1, 'unlinkat', name);
}

/** Removes an empty directory; one that is not there is no error. */
export function rmdirAt(dirFd: number, name: PathLike): void {
  if (cUnlinkat(dirFd, cstring(name), AT_REMOVEDIR) === -1 && lastErrno() !== errnos.ENOENT) {
    check(-1, 'unlinkat', name);
  }
}

export function mkdirAt(dirFd: number, name: PathLike, mode: number = 0o700): void {
  check(cMkdirat(dirFd, cstring(name), mode), 'mkdirat', name);
}

/** `mode` holds the type and the permissions; `device` comes from makedev. */
export function mknodAt(dirFd: number, name: PathLike, mode: number, device: bigint): void {
  check(cMknodat(dirFd, cstring(name), mode, device), 'mknodat', name);
}

export function symlinkAt(target: PathLike, dirFd: number, name: PathLike): void {
  check(cSymlinkat(cstring(target), dirFd, cstring(name)), 'symlinkat', name);
}

const link = Buffer.allocUnsafeSlow(4096);

export function readlinkAt(dirFd: number, name: PathLike): Buffer {
  const length = check(cReadlinkat(dirFd, cstring(name), link, link.length), 'readlinkat', name);
  return Buffer.from(link.subarray(0, length));
}

export function linkAt(fromFd: number, from: PathLike, toFd: number, to: PathLike): void {
  check(cLinkat(fromFd, cstring(from), toFd, cstring(to), 0), 'linkat', to);
}

export function renameAt(fromFd: number, from: PathLike, toFd: number, to: PathLike): void {
  check(cRenameat(fromFd, cstring(from), toFd, cstring(to)), 'renameat', to);
}

export function chownAt(dirFd: number, name: PathLike, uid: number, gid: number): void {
  check(cFchownat(dirFd, cstring(name), uid, gid, AT_SYMLINK_NOFOLLOW), 'fchownat', name);
}

/** Follows a link, as the kernel's call always does: for names that are known to be none. */
export function chmodAt(dirFd: number, name: PathLike, mode: number): void {
  check(cFchmodat(dirFd, cstring(name), mode, 0), 'fchmodat', name);
}

export function chownFd(fd: number, uid: number, gid: number): void {
  check(cFchown(fd, uid, gid), 'fchown');
}

export function chmodFd(fd: number, mode: number): void {
  check(cFchmod(fd, mode), 'fchmod');
}

/** Access and modification time alike, to the nanosecond; seconds may be negative. */
export function setTimesAt(dirFd: number, name: PathLike, seconds: number, nanoseconds: number): void {
  check(cUtimensat(dirFd, cstring(name), pack(seconds, nanoseconds), AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

export function setTimesOf(fd: number, seconds: number, nanoseconds: number): void {
  check(cFutimens(fd, pack(seconds, nanoseconds)), 'futimens');
}

const times = Buffer.alloc(32);

function pack(seconds: number, nanoseconds: number): Buffer {
  for (const offset of [0, 16]) {
    times.writeBigInt64LE(BigInt(seconds), offset);
    times.writeBigInt64LE(BigInt(nanoseconds), offset + 8);
  }
  return times;
}

/** Opens a file to be read without a trace: only its owner and root may leave its access time as it is. */
export function openQuietly(parentFd: number, name: PathLike): number {
  try {
    return openAt(parentFd, name, O_RDONLY | O_NONBLOCK | O_NOATIME);
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    return openAt(parentFd, name, O_RDONLY | O_NONBLOCK);
  }
}
