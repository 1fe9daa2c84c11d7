/**
 * The C library by FFI: how functions are declared, and how a failed call becomes an error. Nothing outside sys/
 * sees koffi.
 *
 * Paths go in as bytes, because Linux file names are bytes and image layers hold names that are not UTF-8.
 * A call made here runs on the calling thread, so that unshare, chroot and setns of a worker thread confine it.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { koffi } from './koffi.ts';

/** A path or name: text, or raw bytes without the final NUL. */
export type PathLike = string | Uint8Array;

/** Errors that mount(2) and file systems give, and that Node has no text for, or a misleading one. */
const OWN: Readonly<Record<number, readonly [code: string, text: string]>> = {
  15: ['ENOTBLK', 'block device required'],
  37: ['ENOLCK', 'no locks available'],
  74: ['EBADMSG', 'bad message'],
  95: ['EOPNOTSUPP', 'operation not supported'],
  116: ['ESTALE', 'stale file handle'],
  117: ['EUCLEAN', 'structure needs cleaning'],
  122: ['EDQUOT', 'disk quota exceeded'],
  126: ['ENOKEY', 'required key not available'],
};

/** A failed system call; has `code` and `errno` as Node's own errors do, so that asTslayerError reads both alike. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject?: string) {
    const [code, text] = OWN[errno] ?? getSystemErrorMap().get(-errno) ?? [`E${errno}`, 'unknown error'];
    super(`${syscall}${subject === undefined ? '' : ` ${subject}`}: ${code}, ${text}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

export const errnos: typeof constants.errno = constants.errno;

/** Whether an error, of Node or of this door, carries this errno name. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return false;
  // One number on Linux, and Node knows it by its other name.
  return codes.includes(error.code === 'ENOTSUP' ? 'EOPNOTSUPP' : error.code);
}

// The process's own symbols: glibc's or musl's, whichever Node was linked with.
const library = koffi.load(null);

/** A foreign function that returns a number; -1 means errno. Arguments are numbers, bigints, bytes or null. */
export type Native = (...args: (number | bigint | Uint8Array | null)[]) => number;

/** Declares a C function, as in `native('int', 'umount2', ['path', 'int'])`; `path` and `bytes` are pointers. */
export function native(result: 'int' | 'long', name: string, parameters: readonly CType[]): Native {
  return library.func(name, result, parameters.map(spell)) as unknown as Native;
}

export type CType = 'int' | 'uint' | 'long' | 'ulong' | 'path' | 'bytes';

function spell(type: CType): string {
  return type === 'path' || type === 'bytes'
    ? 'void *'
    : type === 'uint'
      ? 'unsigned int'
      : type === 'ulong'
        ? 'unsigned long'
        : type;
}

/** Declares a system call that C libraries have no wrapper for, or one whose wrapper does too much. */
export function rawSyscall(number: number, parameters: readonly CType[]): Native {
  const call = native('long', 'syscall', ['long', ...parameters]);
  return (...args) => call(number, ...args);
}

/** The errno of the call just made on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The result of a call, or its error; `subject` (a path, a name) makes the message useful. */
export function check(result: number, syscall: string, subject?: PathLike): number {
  if (result !== -1) return result;
  throw new SystemCallError(syscall, koffi.errno(), subject === undefined ? undefined : printable(subject));
}

function printable(path: PathLike): string {
  return JSON.stringify(typeof path === 'string' ? path : Buffer.from(path).toString());
}

/** NUL-terminated bytes. A name with a NUL inside would be cut silently by C: refused. */
export function cstring(text: PathLike): Uint8Array {
  const source = typeof text === 'string' ? Buffer.from(text) : text;
  if (source.includes(0)) throw new SystemCallError('path', errnos.EINVAL, printable(text));
  const bytes = Buffer.allocUnsafe(source.length + 1);
  bytes.set(source);
  bytes[source.length] = 0;
  return bytes;
}

const cClose = native('int', 'close', ['int']);

/**
 * Closes a descriptor that was opened through this door. Node's own close is for Node's own: a worker thread keeps
 * a list of them, warns of strangers, and closes what is left on it.
 */
export function closeFd(fd: number): void {
  check(cClose(fd), 'close');
}
