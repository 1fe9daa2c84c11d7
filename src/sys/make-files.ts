/**
 * The calls that make one file, for loops that make many: by path, with arguments packed into buffers of this
 * module, answering with the error's number instead of throwing it. None but setMode follows a final symbolic link.
 *
 * Every function returns what the call returned, or the negated errno: `-errnos.EEXIST` is expected, not exceptional.
 */
import { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY } from './at.ts';
import { errnos, lastErrno, native } from './libc.ts';
import { AT_FDCWD } from './mount-api.ts';

const cOpenat = native('int', 'openat', ['int', 'path', 'int', 'uint']);
const cMkdir = native('int', 'mkdir', ['path', 'uint']);
const cMknod = native('int', 'mknod', ['path', 'uint', 'ulong']);
const cSymlink = native('int', 'symlink', ['path', 'path']);
const cLink = native('int', 'linkat', ['int', 'path', 'int', 'path', 'int']);
const cUnlink = native('int', 'unlink', ['path']);
const cLchown = native('int', 'lchown', ['path', 'uint', 'uint']);
const cChmod = native('int', 'chmod', ['path', 'uint']);
const cFchown = native('int', 'fchown', ['int', 'uint', 'uint']);
const cFchmod = native('int', 'fchmod', ['int', 'uint']);
const cUtimensat = native('int', 'utimensat', ['int', 'path', 'bytes', 'int']);
const cFutimens = native('int', 'futimens', ['int', 'bytes']);

const O_CLOEXEC = 0o2000000;
const NEW_FILE = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
const AT_SYMLINK_NOFOLLOW = 0x100;

/** PATH_MAX, its NUL included. */
const PATH_MAX = 4096;
const buffers = [Buffer.alloc(PATH_MAX), Buffer.alloc(PATH_MAX)] as const;
const TOO_LONG: number = -errnos.ENAMETOOLONG;

function result(value: number): number {
  return value === -1 ? -lastErrno() : value;
}

/** The path with its NUL, in one of two buffers that the next call uses again; undefined when it is too long. */
function packed(path: Uint8Array, which: 0 | 1 = 0): Uint8Array | undefined {
  const { length } = path;
  if (length >= PATH_MAX) return undefined;
  const buffer = buffers[which];
  if (length < 64) for (let i = 0; i < length; i++) buffer[i] = path[i]!;
  else buffer.set(path);
  buffer[length] = 0;
  return buffer;
}

/** Opens a file that does not exist yet for writing. With a umask of 0 it gets `mode` as it is, setuid included. */
export function createFile(path: Uint8Array, mode: number): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cOpenat(AT_FDCWD, name, NEW_FILE, mode));
}

/** A descriptor that only stands for the directory, whose links in the middle are followed. */
export function openPath(path: Uint8Array): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cOpenat(AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
}

/** mkdir(2) takes permissions and the sticky bit; setuid and setgid have to be set afterwards. */
export function makeDirectory(path: Uint8Array, mode: number): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cMkdir(name, mode));
}

/** @param device from makedev; 0 for a fifo */
export function makeNode(path: Uint8Array, mode: number, device: bigint | number): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cMknod(name, mode, device));
}

export function makeSymlink(target: Uint8Array, path: Uint8Array): number {
  const [from, name] = [packed(target, 1), packed(path)];
  return from === undefined || name === undefined ? TOO_LONG : result(cSymlink(from, name));
}

/** A second name of a file; of a symbolic link too, which is not followed. */
export function makeLink(target: Uint8Array, path: Uint8Array): number {
  const [from, name] = [packed(target, 1), packed(path)];
  return from === undefined || name === undefined ? TOO_LONG : result(cLink(AT_FDCWD, from, AT_FDCWD, name, 0));
}

export function removeFile(path: Uint8Array): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cUnlink(name));
}

export function setOwner(path: Uint8Array, uid: number, gid: number): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cLchown(name, uid, gid));
}

/** chmod(2) of a name that is known to be no symbolic link: those it would follow. */
export function setMode(path: Uint8Array, mode: number): number {
  const name = packed(path);
  return name === undefined ? TOO_LONG : result(cChmod(name, mode));
}

export function setOwnerFd(fd: number, uid: number, gid: number): number {
  return result(cFchown(fd, uid, gid));
}

export function setModeFd(fd: number, mode: number): number {
  return result(cFchmod(fd, mode));
}

interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Two struct timespec as 32-bit halves: access, modification. */
const times = new Int32Array(8);
const timesBytes = new Uint8Array(times.buffer);

function packTime(at: number, { seconds, nanoseconds }: FileTime): void {
  times[at] = seconds; // an Int32Array keeps the low half, also below 0
  times[at + 1] = Math.floor(seconds / 2 ** 32);
  times[at + 2] = nanoseconds;
}

export function setFileTimes(path: Uint8Array, accessed: FileTime, modified: FileTime): number {
  const name = packed(path);
  if (name === undefined) return TOO_LONG;
  packTime(0, accessed);
  packTime(4, modified);
  return result(cUtimensat(AT_FDCWD, name, timesBytes, AT_SYMLINK_NOFOLLOW));
}

export function setFileTimesFd(fd: number, accessed: FileTime, modified: FileTime): number {
  packTime(0, accessed);
  packTime(4, modified);
  return result(cFutimens(fd, timesBytes));
}
