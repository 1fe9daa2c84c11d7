/**
 * Mounting: the file-descriptor based API of Linux 5.2 (fsopen(2) and friends; the numbers are the same on every
 * architecture) and the classic mount(2), umount2(2).
 */
import { readSync } from 'node:fs';
import { check, closeFd, cstring, hasErrno, native, type PathLike, rawSyscall } from './libc.ts';

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_PRIVATE: number = 1 << 18;
export const MS_SLAVE: number = 1 << 19;
export const MS_SHARED: number = 1 << 20;
export const MS_RELATIME: number = 1 << 21;

export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export const MOUNT_ATTR_RDONLY = 0x1;
export const MOUNT_ATTR_NOSUID = 0x2;
export const MOUNT_ATTR_NODEV = 0x4;
export const MOUNT_ATTR_NOEXEC = 0x8;
export const MOUNT_ATTR_NOATIME = 0x10;
export const MOUNT_ATTR_IDMAP = 0x100000;

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;
export const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;

const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_SET_FD = 5;
const FSCONFIG_CMD_CREATE = 6;

const sysOpenTree = rawSyscall(428, ['int', 'path', 'uint']);
const sysMoveMount = rawSyscall(429, ['int', 'path', 'int', 'path', 'uint']);
const sysFsopen = rawSyscall(430, ['path', 'uint']);
const sysFsconfig = rawSyscall(431, ['int', 'uint', 'path', 'bytes', 'int']);
const sysFsmount = rawSyscall(432, ['int', 'uint', 'uint']);
const sysMountSetattr = rawSyscall(442, ['int', 'path', 'uint', 'bytes', 'ulong']);
const cMount = native('int', 'mount', ['path', 'path', 'path', 'ulong', 'bytes']);
const cUmount2 = native('int', 'umount2', ['path', 'int']);

const EMPTY = cstring('');

/** mount(2). `data` over 4095 bytes is cut by the kernel without a word, so it is refused here. */
export function mount(source: PathLike, target: PathLike, type: string, flags: number, data?: PathLike): void {
  const options = data === undefined ? null : cstring(data);
  if (options !== null && options.length > 4096) throw new RangeError('mount data over 4095 bytes');
  check(cMount(cstring(source), cstring(target), cstring(type), flags, options), 'mount', target);
}

/** umount2(2). */
export function umount(target: PathLike, flags: number = UMOUNT_NOFOLLOW): void {
  check(cUmount2(cstring(target), flags), 'umount2', target);
}

/** A file-system configuration context being filled in; close it when done. */
export class FsContext implements Disposable {
  readonly fd: number;
  readonly #type: string;

  constructor(type: string) {
    this.#type = type;
    this.fd = check(sysFsopen(cstring(type), FSOPEN_CLOEXEC), 'fsopen', type);
  }

  /** One `key=value`; the kernel's own words come back in the error where it gives any. */
  set(key: string, value: PathLike): void {
    this.#config(FSCONFIG_SET_STRING, key, cstring(value), 0);
  }

  flag(key: string): void {
    this.#config(FSCONFIG_SET_FLAG, key, null, 0);
  }

  /** A parameter by descriptor: a directory whose path the caller's namespace may not even see. */
  setFd(key: string, fd: number): void {
    this.#config(FSCONFIG_SET_FD, key, null, fd);
  }

  create(): void {
    this.#config(FSCONFIG_CMD_CREATE, null, null, 0);
  }

  /** A detached mount's descriptor. @param attributes MOUNT_ATTR_* */
  mount(attributes: number = 0): number {
    return check(sysFsmount(this.fd, FSMOUNT_CLOEXEC, attributes), 'fsmount', this.#type);
  }

  #config(command: number, key: string | null, value: Uint8Array | null, aux: number): void {
    const result = sysFsconfig(this.fd, command, key === null ? null : cstring(key), value, aux);
    if (result !== -1) return;
    try {
      check(result, 'fsconfig', key ?? `create ${this.#type}`);
    } catch (error) {
      const said = this.messages();
      if (said && error instanceof Error) error.message += ` (${said})`;
      throw error;
    }
  }

  /** What the kernel logged on this context: `e overlay: …`, joined. */
  messages(): string {
    const lines: string[] = [];
    const buffer = Buffer.alloc(1024);
    for (;;) {
      try {
        const length = readSync(this.fd, buffer);
        if (length === 0) break;
        lines.push(
          buffer
            .toString('utf8', 0, length)
            .trim()
            .replace(/^[ewi] /, ''),
        );
      } catch (error) {
        if (!hasErrno(error, 'ENODATA')) lines.push(String(error));
        break;
      }
    }
    return lines.join('; ');
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }
}

/** Attaches a detached mount (from fsmount or open_tree) at a path. */
export function attachMount(mountFd: number, target: PathLike): void {
  check(sysMoveMount(mountFd, EMPTY, AT_FDCWD, cstring(target), MOVE_MOUNT_F_EMPTY_PATH), 'move_mount', target);
}

/** open_tree(2): an O_PATH descriptor of a mount, or with OPEN_TREE_CLONE a detached copy of it. */
export function openTree(path: PathLike, flags: number = OPEN_TREE_CLONE, dirFd: number = AT_FDCWD): number {
  return check(sysOpenTree(dirFd, cstring(path), flags | OPEN_TREE_CLOEXEC), 'open_tree', path);
}

export interface MountAttributes {
  /** MOUNT_ATTR_* bits. */
  readonly set?: number;
  readonly clear?: number;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or nothing. */
  readonly propagation?: number;
  /** Descriptor of a user namespace, for MOUNT_ATTR_IDMAP. */
  readonly userNamespaceFd?: number;
}

/** mount_setattr(2) on a descriptor. */
export function setMountAttributes(fd: number, attributes: MountAttributes, recursive: boolean = false): void {
  const { set = 0, clear = 0, propagation = 0, userNamespaceFd = 0 } = attributes;
  const struct = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), BigInt(userNamespaceFd)]);
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  check(sysMountSetattr(fd, EMPTY, flags, new Uint8Array(struct.buffer), 32), 'mount_setattr');
}

let attributesKnown: boolean | undefined;

/** Whether the kernel has mount_setattr(2): 5.12. */
export function hasMountAttributes(): boolean {
  if (attributesKnown !== undefined) return attributesKnown;
  attributesKnown = true;
  try {
    setMountAttributes(-1, {});
  } catch (error) {
    attributesKnown = !hasErrno(error, 'ENOSYS');
  }
  return attributesKnown;
}

/** Whether the kernel has the file-descriptor mount API at all (5.2 and later, not filtered away). */
export function hasMountApi(): boolean {
  try {
    new FsContext('tmpfs')[Symbol.dispose]();
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOSYS')) return false;
    return !hasErrno(error, 'EPERM');
  }
}
