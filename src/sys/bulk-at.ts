/**
 * The calls of at.ts for loops over very many files. A name here is its bytes with the final NUL, as getdents64(2)
 * leaves it, so that nothing is copied on the way in; a call answers with its number or the negated errno; and what
 * statx(2) tells stays in one place, `found`, until the next call overwrites it.
 *
 * Nothing here follows a final symbolic link.
 */
import { DT_DIR, DT_REG, O_NOFOLLOW, type StatAt } from './at.ts';
import { check, errnos, lastErrno, native, rawSyscall } from './libc.ts';

const cOpenat = native('int', 'openat', ['int', 'bytes', 'int', 'uint']);
const cStatx = native('int', 'statx', ['int', 'bytes', 'int', 'uint', 'bytes']);
const cMkdirat = native('int', 'mkdirat', ['int', 'bytes', 'uint']);
const cUnlinkat = native('int', 'unlinkat', ['int', 'bytes', 'int']);
const cRenameat = native('int', 'renameat', ['int', 'bytes', 'int', 'bytes']);
const cRead = native('long', 'read', ['int', 'bytes', 'ulong']);
const cWrite = native('long', 'write', ['int', 'bytes', 'ulong']);
const cFutimens = native('int', 'futimens', ['int', 'bytes']);
const cUtimensat = native('int', 'utimensat', ['int', 'bytes', 'bytes', 'int']);
const cFlistxattr = native('long', 'flistxattr', ['int', 'bytes', 'ulong']);
const sysGetdents = rawSyscall(process.arch === 'x64' ? 217 : 61, ['int', 'bytes', 'ulong']);

const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
const NO_NAME = new Uint8Array(1);

function result(value: number): number {
  return value === -1 ? -lastErrno() : value;
}

export function openName(directory: number, name: Uint8Array, flags: number, mode: number = 0): number {
  return result(cOpenat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, mode));
}

export function makeDirectoryName(directory: number, name: Uint8Array, mode: number): number {
  return result(cMkdirat(directory, name, mode));
}

export function unlinkName(directory: number, name: Uint8Array): number {
  return result(cUnlinkat(directory, name, 0));
}

export function removeDirectoryName(directory: number, name: Uint8Array): number {
  return result(cUnlinkat(directory, name, AT_REMOVEDIR));
}

/** Under the same name, in place of anything there but a directory. */
export function renameName(from: number, name: Uint8Array, to: number): number {
  return result(cRenameat(from, name, to, name));
}

/** Layout of struct statx, in 32-bit words: linux/stat.h. Little-endian, as both of our architectures are. */
const words = new Uint32Array(64);
const statBytes = new Uint8Array(words.buffer);
const TWO_32 = 2 ** 32;

type Found = Pick<
  StatAt,
  'mode' | 'nlink' | 'uid' | 'gid' | 'ino' | 'size' | 'blocks' | 'deviceMajor' | 'deviceMinor' | 'mountRoot'
>;

/** What the last of `statName` and `statOpen` was told. */
export const found: Found = {
  get nlink() {
    return words[4]!;
  },
  get uid() {
    return words[5]!;
  },
  get gid() {
    return words[6]!;
  },
  get mode() {
    return words[7]! & 0xffff;
  },
  get ino() {
    return BigInt(words[8]!) | (BigInt(words[9]!) << 32n);
  },
  get size() {
    return words[10]! + words[11]! * TWO_32;
  },
  get blocks() {
    return words[12]! + words[13]! * TWO_32;
  },
  get deviceMajor() {
    return words[32]!;
  },
  get deviceMinor() {
    return words[33]!;
  },
  get mountRoot() {
    return (words[2]! & STATX_ATTR_MOUNT_ROOT) !== 0;
  },
};

/** A modification time, as `found` has it, to be kept for later. */
export type FoundTime = readonly [secondsLow: number, secondsHigh: number, nanoseconds: number];

export function foundTime(): FoundTime {
  return [words[28]!, words[29]!, words[30]!];
}

export function statName(directory: number, name: Uint8Array): number {
  return result(cStatx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, statBytes));
}

export function statOpen(fd: number): number {
  return result(cStatx(fd, NO_NAME, AT_EMPTY_PATH, STATX_BASIC_STATS, statBytes));
}

/** Two struct timespec: access, modification; both are given the same. */
const times = new Uint32Array(8);
const timesBytes = new Uint8Array(times.buffer);

function pack([low, high, nanoseconds]: FoundTime): Uint8Array {
  times[0] = times[4] = low;
  times[1] = times[5] = high;
  times[2] = times[6] = nanoseconds;
  return timesBytes;
}

/** Gives an open file this time, of access too. */
export function setTimeOfOpen(fd: number, time: FoundTime): number {
  return result(cFutimens(fd, pack(time)));
}

export function setTimeOfName(directory: number, name: Uint8Array, time: FoundTime): number {
  return result(cUtimensat(directory, name, pack(time), AT_SYMLINK_NOFOLLOW));
}

/** Whether an open file has any extended attribute; asks for no name. */
export function hasXattrs(fd: number): boolean {
  return cFlistxattr(fd, null, 0) > 0;
}

/** Reads on from the descriptor's offset: bytes, 0 at the end. */
export function readInto(fd: number, buffer: Uint8Array, length: number): number {
  return check(cRead(fd, buffer, length), 'read');
}

/** Writes all of the first `length` bytes. */
export function writeFrom(fd: number, buffer: Uint8Array, length: number): void {
  for (let done = 0; done < length; ) {
    done += check(cWrite(fd, done === 0 ? buffer : buffer.subarray(done), length - done), 'write');
  }
}

const block = Buffer.allocUnsafeSlow(64 * 1024);

export interface ListedName {
  readonly name: Uint8Array;
  /** `other`: something else, or the file system does not say. */
  readonly type: 'directory' | 'file' | 'other';
}

interface Listed extends ListedName {
  readonly inode: number;
}

/**
 * Everything in an open directory but `.` and `..`; names with their NUL. By inode numbers, which is the order in
 * which most file systems keep them: what is read so is read without seeking.
 */
export function listNames(fd: number): ListedName[] {
  const all: Listed[] = [];
  let [last, sorted] = [-1, true];
  for (;;) {
    const length = result(sysGetdents(fd, block, block.length));
    if (length === 0) return sorted ? all : all.sort((a, b) => a.inode - b.inode);
    if (length === -errnos.EINTR) continue;
    if (length < 0) check(-1, 'getdents64');
    // One copy for all names that came together.
    const names = Buffer.from(block.subarray(0, length));
    for (let at = 0; at < length; at += names.readUInt16LE(at + 16)) {
      const start = at + 19;
      const name = names.subarray(start, names.indexOf(0, start) + 1);
      if (name[0] === 0x2e && (name.length === 2 || (name.length === 3 && name[1] === 0x2e))) continue;
      const inode = names.readUInt32LE(at) + names.readUInt32LE(at + 4) * TWO_32;
      sorted &&= inode > last;
      last = inode;
      all.push({ name, type: typeOf(names[at + 18]!), inode });
    }
  }
}

function typeOf(type: number): ListedName['type'] {
  if (type === DT_REG) return 'file';
  return type === DT_DIR ? 'directory' : 'other';
}

/** The umask of this process, without setting it. */
export function umaskFrom(status: string): number {
  const [, octal = '022'] = /^Umask:\s*([0-7]+)$/m.exec(status) ?? [];
  return Number.parseInt(octal, 8);
}
