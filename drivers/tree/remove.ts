/** Deletes trees by descriptors, whatever their names and depth, and never through a mount. */
import { closeSync, openSync, rmdirSync } from 'node:fs';
import { TslayerError } from '../../src/errors.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, renameAt, rmdirAt, unlinkAt } from '../../src/sys/at.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { walkTree } from '../../src/sys/walk.ts';

/** Deeper directories are moved up and deleted from there, so that no depth is too much. */
const MAX_DEPTH = 512;

/**
 * Deletes `directory` and everything in it, yielding now and then; one that is not there is no error.
 *
 * @throws TslayerError IN_USE when something is mounted inside: what is mounted there is not ours to delete.
 */
export function* removeTree(directory: string): Generator<void, void> {
  let fd: number;
  try {
    fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw error;
  }
  try {
    while (yield* removeContent(fd, directory));
    removeEmpty(directory);
  } finally {
    closeSync(fd);
  }
}

/** True when directories were moved up and are still to be deleted. */
function* removeContent(rootFd: number, directory: string): Generator<void, boolean> {
  let moved = 0;
  let depth = 0;
  for (const visit of walkTree(rootFd)) {
    const { event, fd, parentFd, name, stat } = visit;
    if (parentFd === -1) continue;
    if (stat.mountRoot) throw new TslayerError('IN_USE', `something is mounted at ${directory}/${visit.path}`);
    if (fd === -1) unlinkAt(parentFd, name);
    else if (event === 'entry' && depth >= MAX_DEPTH) {
      visit.descend = false;
      renameAt(parentFd, name, rootFd, `.tslayer-moved-${process.pid}-${Date.now()}-${moved++}`);
    } else if (event === 'entry') depth++;
    else {
      if (visit.descend) depth--;
      rmdirAt(parentFd, name);
    }
    yield;
  }
  return moved > 0;
}

/** Another sweeper may have been faster. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}
