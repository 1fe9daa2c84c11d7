/** Files and directories as another process sees them. */

import { OPENAT2_TRIES, S_IFMT } from '../files.ts';
import { errnos, hasErrno, SystemCallError } from '../libc.ts';
import { AT_EMPTY_PATH, AT_FDCWD } from '../mount-api.ts';
import { RemoteCalls } from './calls.ts';
import { type Argument, type Call, Output } from './messages.ts';

const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BYTES = 256;
const STATFS_BYTES = 120;
const PATH_BYTES = 4096;
const CHUNK = 16 * 1024;
const X_OK = 1;
/** The access time stays. utimensat(2). */
const UTIME_OMIT = 0x3ffffffen;
const F_SETFD = 2;
const CLOSE_RANGE_CLOEXEC = 4;

export interface RemoteStat {
  /** S_IFMT of its mode. */
  readonly type: number;
  readonly size: number;
  /** Of the device that it is. */
  readonly major: number;
  readonly minor: number;
  readonly modified: { readonly seconds: bigint; readonly nanoseconds: number };
}

/** `mode` holds the type and the permissions; `device` comes from makedev. */
export interface RemoteNode {
  readonly name: string;
  readonly mode: number;
  readonly device: bigint;
}

export class RemoteFiles extends RemoteCalls {
  /** Always close-on-exec. */
  open(path: string, flags: number): number {
    return this.call('openat', [AT_FDCWD, path, flags | O_CLOEXEC, 0], path);
  }

  /** openat2(2), close-on-exec: `resolve` is RESOLVE_*. */
  openat2(directory: number, path: string, flags: number, resolve: number): number {
    for (let tries = 1; ; tries++) {
      const [fd = -errnos.EIO] = this.tryOpenat2(directory, [path], flags, resolve);
      if (fd >= 0) return fd;
      if (fd !== -errnos.EAGAIN || tries === OPENAT2_TRIES) {
        throw new SystemCallError('openat2', -fd, JSON.stringify(path));
      }
    }
  }

  /** Several at once: descriptors, or negative errnos. */
  tryOpenat2(directory: number, paths: readonly string[], flags: number, resolve: number): number[] {
    const how = openHow(flags, resolve);
    return this.attempt(paths.map((path) => ({ name: 'openat2', args: [directory, path, how, OPEN_HOW_BYTES] })));
  }

  stat(path: string): RemoteStat {
    return this.#statx(AT_FDCWD, path, 0);
  }

  statFd(file: number): RemoteStat {
    return this.statFds([file])[0]!;
  }

  statFds(files: readonly number[]): RemoteStat[] {
    const outputs = files.map(() => new Output(Buffer.alloc(STATX_BYTES)));
    this.callAll(outputs.map((out, i) => statCall(files[i]!, '', AT_EMPTY_PATH, out)));
    return outputs.map(unpackStat);
  }

  #statx(directory: number, path: string, flags: number): RemoteStat {
    const out = new Output(Buffer.alloc(STATX_BYTES));
    this.callAll([statCall(directory, path, flags, out)]);
    return unpackStat(out);
  }

  /** statfs(2)'s magic number of the file system that an open file lies on. */
  fileSystemOf(file: number): number {
    return Number(this.#fill('fstatfs', STATFS_BYTES, (out) => [file, out]).bytes.readBigInt64LE(0));
  }

  read(file: number): Buffer {
    const parts: Buffer[] = [];
    for (;;) {
      const { bytes, result } = this.#fill('read', CHUNK, (out) => [file, out, CHUNK]);
      if (result === 0) return Buffer.concat(parts);
      parts.push(bytes.subarray(0, result));
    }
  }

  write(file: number, text: string): void {
    const bytes = Buffer.from(text);
    this.call('write', [file, bytes, bytes.length]);
  }

  readlink(path: string): string {
    const { bytes, result } = this.#fill('readlinkat', PATH_BYTES, (out) => [AT_FDCWD, path, out, PATH_BYTES], path);
    return bytes.toString('utf8', 0, result);
  }

  /** @throws EACCES, ENOENT */
  requireExecutable(path: string): void {
    this.call('faccessat', [AT_FDCWD, path, X_OK], path);
  }

  mkdirAt(directory: number, name: string, mode: number): void {
    this.post('mkdirat', [directory, name, mode], name);
  }

  /** The same, waited for. @throws EEXIST */
  tryMkdirAt(directory: number, name: string, mode: number): void {
    this.call('mkdirat', [directory, name, mode], name);
  }

  /** Several at once: 0, or the negative errno. */
  tryMknodsAt(directory: number, nodes: readonly RemoteNode[]): number[] {
    return this.attempt(
      nodes.map(({ name, mode, device }) => ({ name: 'mknodat', args: [directory, name, mode, Number(device)] })),
    );
  }

  /** Waited for. `mode` holds the type and the permissions; `device` comes from makedev. @throws EEXIST, EPERM */
  tryMknodAt(directory: number, name: string, mode: number, device: bigint): void {
    this.call('mknodat', [directory, name, mode, Number(device)], name);
  }

  /** Says of a file, by its path, that it was modified then; where that may not be said, it is not. */
  trySetModified(path: string, { seconds, nanoseconds }: RemoteStat['modified']): void {
    const times = new BigInt64Array([0n, UTIME_OMIT, seconds, BigInt(nanoseconds)]);
    this.attempt([{ name: 'utimensat', args: [AT_FDCWD, path, new Uint8Array(times.buffer), 0] }]);
  }

  symlinkAt(target: string, directory: number, name: string): void {
    this.post('symlinkat', [target, directory, name], name);
  }

  chownAt(directory: number, name: string, uid: number, gid: number): void {
    this.post('fchownat', [directory, name, uid, gid, AT_SYMLINK_NOFOLLOW], name);
  }

  chownFd(file: number, uid: number, gid: number): void {
    this.post('fchownat', [file, '', uid, gid, AT_EMPTY_PATH]);
  }

  chdir(path: string): void {
    this.call('chdir', [path], path);
  }

  fchdir(directory: number): void {
    this.post('fchdir', [directory]);
  }

  /** As the kernel names it: `(unreachable)/…` where it lies outside the root. Undefined when it was removed. */
  currentDirectory(): string | undefined {
    try {
      const { bytes, result } = this.#fill('getcwd', PATH_BYTES, (out) => [out, PATH_BYTES]);
      return bytes.toString('utf8', 0, result - 1);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Returns the former one. */
  umask(mask: number): number {
    return this.call('umask', [mask]);
  }

  /** The copy stays open when a program is executed. */
  duplicate(file: number, as: number): void {
    this.post('dup3', [file, as, 0]);
  }

  keepOnExec(file: number): void {
    this.post('fcntl', [file, F_SETFD, 0]);
  }

  /** Closes every descriptor from `first` on when a program is executed, whoever opened it (CVE-2024-21626). */
  closeOnExecFrom(first: number): void {
    this.post('close_range', [first, 0xffffffff, CLOSE_RANGE_CLOEXEC]);
  }

  /** Returns what the kernel left in `block`. */
  ioctl(file: number, request: number, block: Uint8Array, subject?: string): Buffer {
    const output = new Output(block);
    this.call('ioctl', [file, request, output], subject);
    return output.bytes;
  }

  #fill(
    name: Parameters<RemoteCalls['call']>[0],
    length: number,
    args: (output: Output) => readonly Argument[],
    subject?: string,
  ): { readonly bytes: Buffer; readonly result: number } {
    const output = new Output(Buffer.alloc(length));
    const result = this.call(name, args(output), subject);
    return { bytes: output.bytes, result };
  }
}

/** struct open_how. */
const OPEN_HOW_BYTES = 24;

function openHow(flags: number, resolve: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(flags | O_CLOEXEC), 0n, BigInt(resolve)]).buffer);
}

function statCall(directory: number, path: string, flags: number, out: Output): Call {
  return { name: 'statx', args: [directory, path, flags, STATX_BASIC_STATS, out], subject: path };
}

/** Layout of struct statx: linux/stat.h. */
function unpackStat({ bytes }: Output): RemoteStat {
  return {
    type: bytes.readUInt16LE(28) & S_IFMT,
    size: Number(bytes.readBigUInt64LE(40)),
    major: bytes.readUInt32LE(128),
    minor: bytes.readUInt32LE(132),
    modified: { seconds: bytes.readBigInt64LE(112), nanoseconds: bytes.readUInt32LE(120) },
  };
}
