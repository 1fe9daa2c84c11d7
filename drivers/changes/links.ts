/** Hard-link groups of a tree: which names share an inode. */
import { openDirectoryAt, statAt } from '../../src/sys/at.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import { openParent } from '../tree/open-parent.ts';
import type { Located } from './metadata.ts';
import { joinPath, requireShallow } from './paths.ts';
import type { Spelling } from './spelling.ts';

export interface LinkGroup {
  /** In the order in which a comparison meets them. */
  readonly paths: Buffer[];
  /** Whether the group goes into the layer; undefined until it was looked at. */
  changed?: boolean;
}

export type LinkGroups = ReadonlyMap<bigint, LinkGroup>;

/** Groups of two or more names below an open directory. */
export function* collectLinks(rootFd: number, spelling: Spelling): Generator<undefined, LinkGroups> {
  const groups = new Map<bigint, LinkGroup>();
  const fd = openDirectoryAt(rootFd, '.');
  try {
    yield* collectFrom(fd, Buffer.alloc(0), 1, spelling, groups);
  } finally {
    closeFd(fd);
  }
  return groups;
}

function* collectFrom(
  fd: number,
  path: Buffer,
  depth: number,
  spelling: Spelling,
  groups: Map<bigint, LinkGroup>,
): Generator<undefined, void> {
  requireShallow(depth);
  const names = spelling.list(fd).names.filter(({ whiteout }) => !whiteout);
  for (const { name } of [...names].sort((a, b) => Buffer.compare(a.name, b.name))) {
    const stat = statAt(fd, name);
    if (!stat) continue;
    if (isDirectory(stat)) {
      const child = openDirectoryAt(fd, name);
      try {
        yield* collectFrom(child, joinPath(path, name), depth + 1, spelling, groups);
      } finally {
        closeFd(child);
      }
    } else if (stat.nlink > 1) {
      const group = groups.get(stat.ino);
      if (group) group.paths.push(joinPath(path, name));
      else groups.set(stat.ino, { paths: [joinPath(path, name)] });
    }
    yield;
  }
}

/** Uses the file at a path below an open directory, if there is one that is no directory. */
export function withFile<T>(rootFd: number, path: Buffer, use: (file: Located) => T): T | undefined {
  try {
    using parent = openParent(rootFd, path);
    const stat = statAt(parent.fd, parent.name);
    if (!stat || isDirectory(stat)) return undefined;
    return use({ parentFd: parent.fd, name: parent.name, fd: -1, stat });
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
