/**
 * A stack's root directory. Few layers say anything of it, and a union file system shows the topmost one's; so the
 * root of a snapshot is dressed as that of the topmost layer that has an entry for it.
 */
import { isReservedXattr } from '../../src/archive/tar/xattrs.ts';
import { chmodFd, chownFd, O_DIRECTORY, O_RDONLY, openAt, type StatAt, setTimesOf, statFd } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { getXattrFd, listXattrsFd, setXattrFd } from '../../src/sys/xattr.ts';
import type { Stack } from '../driver.ts';
import type { Directories } from './directories.ts';
import { readImplied } from './implied.ts';

/** The root directory of the topmost layer that has one of its own; `part` is where a layer keeps its files. */
export function explicitRoot(directories: Directories, stack: Stack, part: string): string | undefined {
  const id = stack.find((layer) => !readImplied(directories.of(layer)).has(''));
  return id === undefined ? undefined : directories.of(id, part);
}

export function openDirectory(path: string | Buffer): number {
  return openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

/** What a root looks like that nobody has spoken of: the same on every machine. */
export const PLAIN_ROOT: Pick<StatAt, 'mode' | 'uid' | 'gid' | 'mtimeSeconds' | 'mtimeNanoseconds'> = {
  mode: 0o40755,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
};

/** Gives the directory `path` the attributes of `model`, or of a plain root. */
export function dressRoot(path: string | Buffer, model: string | Buffer | undefined): void {
  const fd = openDirectory(path);
  const modelFd = model === undefined ? undefined : openDirectory(model);
  try {
    const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = modelFd === undefined ? PLAIN_ROOT : statFd(modelFd);
    chownFd(fd, uid, gid);
    if (modelFd !== undefined) copyXattrs(modelFd, fd);
    chmodFd(fd, mode & 0o7777);
    setTimesOf(fd, mtimeSeconds, mtimeNanoseconds);
  } finally {
    closeFd(fd);
    if (modelFd !== undefined) closeFd(modelFd);
  }
}

function copyXattrs(from: number, to: number): void {
  for (const name of listXattrsFd(from)) {
    const value = isReservedXattr(name.toString('latin1')) ? undefined : getXattrFd(from, name);
    if (value !== undefined) setXattrFd(to, name, value);
  }
}
