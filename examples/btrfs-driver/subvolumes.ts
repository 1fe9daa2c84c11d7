/** btrfs' subvolume calls: ioctl_btrfs(2), linux/btrfs.h. They have no command of their own in libc. */
import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';

const libc = koffi.load(null);
const cIoctl = libc.func('int ioctl(int, unsigned long, void *)');

const SUBVOL_CREATE = 0x5000940e;
const SNAP_DESTROY = 0x5000940f;
const SNAP_CREATE_V2 = 0x50009417;
const SUBVOL_GETFLAGS = 0x80089419;
const SUBVOL_SETFLAGS = 0x4008941a;
const RDONLY = 2n;

/** struct btrfs_ioctl_vol_args: a descriptor and a name of at most 4087 bytes. */
const ARGS_SIZE = 4096;
const NAME_AT = 8;
/** struct btrfs_ioctl_vol_args_v2: descriptor, transid, flags, 32 reserved bytes, name of at most 4039. */
const NAME_AT_V2 = 56;
const MAX_NAME = 255;

class BtrfsError extends Error {
  readonly code: string;

  constructor(call: string, path: string, errno: number) {
    const [code, text] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, 'unknown error'];
    super(`${call} ${path}: ${code}, ${text}`);
    this.code = code;
  }
}

function withDirectory<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function ioctl(path: string, call: string, fd: number, request: number, argument: Buffer): void {
  if (cIoctl(fd, request, argument) === -1) throw new BtrfsError(call, path, koffi.errno());
}

function named(path: string, at: number): Buffer {
  const name = Buffer.from(basename(path));
  if (name.length > MAX_NAME) throw new BtrfsError('name', path, 36);
  const args = Buffer.alloc(ARGS_SIZE);
  name.copy(args, at);
  return args;
}

/** Makes an empty subvolume. */
export function createSubvolume(path: string): void {
  withDirectory(dirname(path), (fd) => ioctl(path, 'create subvolume', fd, SUBVOL_CREATE, named(path, NAME_AT)));
}

/** Makes a writable snapshot of a subvolume, whatever its size, in a moment. */
export function snapshotSubvolume(source: string, path: string): void {
  withDirectory(source, (sourceFd) => {
    const args = named(path, NAME_AT_V2);
    args.writeBigInt64LE(BigInt(sourceFd), 0);
    withDirectory(dirname(path), (fd) => ioctl(path, 'snapshot', fd, SNAP_CREATE_V2, args));
  });
}

/** Deletes a subvolume with all its files; the file system frees their blocks by and by. */
export function destroySubvolume(path: string): void {
  withDirectory(dirname(path), (fd) => ioctl(path, 'delete subvolume', fd, SNAP_DESTROY, named(path, NAME_AT)));
}

export function setReadOnly(path: string, readOnly: boolean): void {
  withDirectory(path, (fd) => {
    const flags = Buffer.alloc(8);
    ioctl(path, 'flags of', fd, SUBVOL_GETFLAGS, flags);
    const now = flags.readBigUInt64LE();
    flags.writeBigUInt64LE(readOnly ? now | RDONLY : now & ~RDONLY);
    ioctl(path, 'flags of', fd, SUBVOL_SETFLAGS, flags);
  });
}
