/**
 * Paths inside a root file system that nobody vouches for. The kernel resolves them (openat2(2), RESOLVE_IN_ROOT):
 * `..` and absolute symbolic links stay inside. What was resolved is then used by descriptor, never by name again.
 */
import { posix } from 'node:path';
import { O_DIRECTORY, O_PATH } from '../../sys/at.ts';
import { RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, S_IFREG } from '../../sys/files.ts';
import { errnos, hasErrno } from '../../sys/libc.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';

const PROC_SUPER_MAGIC = 0x9fa0;

/** Whether symbolic links on the way are followed (inside the root), or are an attack. */
export type Links = 'follow' | 'refuse';

export class Rootfs implements Disposable {
  readonly init: RemoteProcess;
  readonly fd: number;

  /** @param init whose files, mounts and descriptors these are */
  constructor(init: RemoteProcess, directory: string) {
    this.init = init;
    this.fd = init.open(directory, O_PATH | O_DIRECTORY);
  }

  /** A descriptor (O_PATH unless told otherwise) of what lies at the path; undefined when nothing does. */
  open(path: string, links: Links, flags: number = O_PATH): number | undefined {
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links === 'refuse' ? RESOLVE_NO_SYMLINKS : 0);
    try {
      return this.init.openat2(this.fd, path, flags, resolve);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      if (hasErrno(error, 'ELOOP')) {
        throw new LaunchError(125, 'UNSAFE_LAYER', `${path} in the root file system leads through a symbolic link`);
      }
      throw error;
    }
  }

  /** Those of the paths that are there, with their descriptors. No symbolic link may be on the way. */
  openAll(paths: readonly string[]): { readonly path: string; readonly fd: number }[] {
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    const opened = this.init.tryOpenat2(this.fd, paths, O_PATH, resolve);
    const failed = opened.findIndex((fd) => fd < 0 && fd !== -errnos.ENOENT);
    // Once more, for the error.
    if (failed !== -1) this.open(paths[failed]!, 'refuse');
    return paths.map((path, i) => ({ path, fd: opened[i]! })).filter(({ fd }) => fd >= 0);
  }

  /**
   * What lies at the path, made with its parents where it is missing: a mountpoint. The directory that it is made in has
   * its time again: the program has not changed anything in it.
   */
  ensure(path: string, kind: 'directory' | 'file', links: Links): number {
    const found = this.open(path, links);
    if (found !== undefined) return found;
    const parent = this.ensureParent(path, links);
    const name = posix.basename(path);
    try {
      const { modified } = this.init.statFd(parent);
      if (kind === 'directory') this.init.tryMkdirAt(parent, name, 0o755);
      else this.init.tryMknodAt(parent, name, S_IFREG | 0o644, 0n);
      this.init.trySetModified(pathOf(parent), modified);
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error; // EEXIST: another container of the same directory was quicker.
    } finally {
      this.init.close(parent);
    }
    const made = this.open(path, links);
    if (made !== undefined) return made;
    // Not there and yet there.
    throw new LaunchError(125, 'FAILED', `${path} in the root file system is a link to something missing`);
  }

  /** The directory that holds the path's last name. */
  ensureParent(path: string, links: Links): number {
    return this.ensure(posix.dirname(posix.resolve('/', path)), 'directory', links);
  }

  [Symbol.dispose](): void {
    this.init.close(this.fd);
  }
}

/** The name that mount(2) takes for a file that the init process has open. Needs a /proc. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** A mount over a part of /proc could feign what programs trust there (CVE-2019-16884). */
export function refuseProc(init: RemoteProcess, fd: number, path: string): void {
  if (init.fileSystemOf(fd) === PROC_SUPER_MAGIC) {
    throw new LaunchError(125, 'INVALID_ARGUMENT', `${path} lies in /proc: nothing may be mounted there`);
  }
}
