/**
 * Walks a directory tree by descriptors: no name is ever resolved twice, so a running container that swaps a
 * directory for a link cannot lead the walk out of its tree (the race of CVE-2018-15664), and depth is not limited
 * by PATH_MAX.
 *
 * Order: a directory, then its content by name bytes, each directory's content right after it.
 */
import { TslayerError } from '../errors.ts';
import {
  type DirectoryEntry,
  DT_DIR,
  DT_UNKNOWN,
  openDirectoryAt,
  readDirectoryFd,
  type StatAt,
  statAt,
  statFd,
} from './at.ts';
import { S_IFDIR, S_IFMT } from './files.ts';
import { closeFd, hasErrno } from './libc.ts';

export interface Visit {
  /** `leave` comes once more for a directory, when all below it was visited (or `descend` was cleared). */
  readonly event: 'entry' | 'leave';
  /** From the root of the walk, no leading slash; empty for the root. */
  readonly path: Buffer;
  readonly name: Buffer;
  /** Descriptor of the directory that holds it; -1 for the root. */
  readonly parentFd: number;
  /** A directory's own descriptor, open until its `leave` returned; -1 for the rest. */
  readonly fd: number;
  readonly stat: StatAt;
  /** Set to false on a directory's `entry`, its content is passed over. */
  descend: boolean;
}

interface Frame {
  readonly visit: Visit;
  readonly entries: DirectoryEntry[];
  next: number;
}

/** One descriptor is open for each level: deeper trees are an attack on the walker. */
const MAX_DEPTH = 4096;
const SLASH = Buffer.from('/');

export const isDirectory = (stat: StatAt): boolean => (stat.mode & S_IFMT) === S_IFDIR;

/** Visits the open directory `rootFd` (which stays open) and everything in it. Entries that vanish are left out. */
export function* walkTree(rootFd: number): Generator<Visit, void> {
  const empty = Buffer.alloc(0);
  const root = visitOf(empty, empty, -1, rootFd, statFd(rootFd));
  const stack: Frame[] = [];
  try {
    yield root;
    stack.push(frameOf(root));
    for (;;) {
      const frame = stack.at(-1);
      if (!frame) return;
      const entry = frame.entries[frame.next++];
      if (!entry) {
        yield { ...frame.visit, event: 'leave' };
        stack.pop();
        if (stack.length > 0) closeFd(frame.visit.fd);
        continue;
      }
      const visit = visitEntry(frame.visit, entry);
      if (!visit) continue;
      if (visit.fd === -1) {
        yield visit;
        continue;
      }
      stack.push({ visit, entries: [], next: 0 });
      if (stack.length > MAX_DEPTH) throw new TslayerError('LIMIT_EXCEEDED', `directories over ${MAX_DEPTH} deep`);
      yield visit;
      stack[stack.length - 1] = frameOf(visit);
    }
  } finally {
    for (const frame of stack.slice(1)) closeFd(frame.visit.fd);
  }
}

function frameOf(visit: Visit): Frame {
  const entries = visit.descend ? readDirectoryFd(visit.fd) : [];
  return { visit, entries: entries.sort((a, b) => Buffer.compare(a.name, b.name)), next: 0 };
}

function visitEntry(parent: Visit, entry: DirectoryEntry): Visit | undefined {
  const path = parent.path.length === 0 ? entry.name : Buffer.concat([parent.path, SLASH, entry.name]);
  if (entry.type !== DT_DIR) {
    const stat = statAt(parent.fd, entry.name);
    if (!stat) return undefined;
    if (entry.type !== DT_UNKNOWN || !isDirectory(stat)) return visitOf(path, entry.name, parent.fd, -1, stat);
  }
  try {
    const fd = openDirectoryAt(parent.fd, entry.name);
    return visitOf(path, entry.name, parent.fd, fd, statFd(fd));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    if (!hasErrno(error, 'ENOTDIR', 'ELOOP')) throw error;
    const stat = statAt(parent.fd, entry.name);
    return stat && visitOf(path, entry.name, parent.fd, -1, stat);
  }
}

function visitOf(path: Buffer, name: Buffer, parentFd: number, fd: number, stat: StatAt): Visit {
  return { event: 'entry', path, name, parentFd, fd, stat, descend: true };
}
