/**
 * A directory tree as comparable records: everything that a layer can carry, by raw bytes, and nothing that differs
 * between two faithful copies (inode numbers, ctime, block layout).
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { O_DIRECTORY, O_NONBLOCK, O_RDONLY, openAt, readlinkAt, type StatAt } from '../../src/sys/at.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  seekData,
  seekHole,
} from '../../src/sys/files.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { type Visit, walkTree } from '../../src/sys/walk.ts';
import { getXattr, listXattrs } from '../../src/sys/xattr.ts';

export interface TreeRecord {
  /** Path from the root, one character a byte (latin1), so that any name is a key. The root is ''. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';
  /** 0 … 0o7777; 0o777 for symbolic links. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for the rest (directories differ between file systems). */
  readonly size: number;
  /** `seconds.nanoseconds`. */
  readonly mtime: string;
  /** Target of a symbolic link, latin1. */
  readonly target: string;
  /** `major:minor` of a device. */
  readonly device: string;
  /** `name=hex`, sorted. */
  readonly xattrs: readonly string[];
  /** First path, in the walk's order, of the hard-link group inside the tree; its own where it is alone. */
  readonly linkedTo: string;
  /** sha256 of a file's bytes; above 64 MiB of its non-zero blocks and where they lie. Empty for the rest. */
  readonly content: string;
}

export interface TreeOptions {
  /** Leaves out records that must not be compared. */
  readonly ignore?: (record: TreeRecord) => boolean;
  /** Names of xattrs, or prefixes ending in a dot or an underscore, that are left out. Default: what the machine itself adds. */
  readonly ignoreXattrs?: readonly string[];
}

const IGNORED_XATTRS = ['security.selinux', 'security.ima', 'security.evm', 'system.nfs4_acl', 'trusted.SGI_ACL_'];
const WHOLE_HASH_LIMIT = 64 * 1024 * 1024;
const BLOCK = 4096;

const TYPES: Readonly<Record<number, TreeRecord['type']>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'symlink',
  [S_IFCHR]: 'char',
  [S_IFBLK]: 'block',
  [S_IFIFO]: 'fifo',
};

/** Every entry of `directory` and the directory itself; parents before children, siblings by name bytes. */
export function snapshotTree(directory: string | Buffer, options: TreeOptions = {}): TreeRecord[] {
  const rootFd = openSync(directory, O_RDONLY | O_DIRECTORY);
  try {
    const records: TreeRecord[] = [];
    const firstOf = new Map<string, string>();
    for (const visit of walkTree(rootFd)) {
      if (visit.event === 'entry') records.push(recordOf(visit, firstOf, options.ignoreXattrs ?? IGNORED_XATTRS));
    }
    return options.ignore ? records.filter((record) => !options.ignore?.(record)) : records;
  } finally {
    closeSync(rootFd);
  }
}

function recordOf(visit: Visit, firstOf: Map<string, string>, ignoreXattrs: readonly string[]): TreeRecord {
  const { stat } = visit;
  const path = visit.path.toString('latin1');
  const type = TYPES[stat.mode & S_IFMT] ?? 'socket';
  const device = type === 'char' || type === 'block' ? `${stat.deviceMajor}:${stat.deviceMinor}` : '';
  return {
    path,
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: type === 'file' ? stat.size : 0,
    mtime: `${stat.mtimeSeconds}.${String(stat.mtimeNanoseconds).padStart(9, '0')}`,
    target: type === 'symlink' ? readlinkAt(visit.parentFd, visit.name).toString('latin1') : '',
    device,
    xattrs: xattrsOf(visit, ignoreXattrs),
    linkedTo: groupOf(stat, type, path, firstOf),
    content: type === 'file' ? contentOf(visit) : '',
  };
}

function groupOf(stat: StatAt, type: TreeRecord['type'], path: string, firstOf: Map<string, string>): string {
  if (type === 'directory' || stat.nlink < 2) return path;
  const key = `${stat.fileSystem} ${stat.ino}`;
  const first = firstOf.get(key);
  if (first !== undefined) return first;
  firstOf.set(key, path);
  return path;
}

function xattrsOf(visit: Visit, ignored: readonly string[]): string[] {
  const path =
    visit.fd === -1
      ? Buffer.concat([Buffer.from(`/proc/self/fd/${visit.parentFd}/`), visit.name])
      : Buffer.from(`/proc/self/fd/${visit.fd}/.`);
  return listXattrs(path)
    .map((name) => name.toString('latin1'))
    .filter((name) => !ignored.some((entry) => name === entry || (/[._]$/.test(entry) && name.startsWith(entry))))
    .sort()
    .map((name) => `${name}=${(getXattr(path, Buffer.from(name, 'latin1')) ?? Buffer.alloc(0)).toString('hex')}`);
}

function contentOf(visit: Visit): string {
  const fd = openAt(visit.parentFd, visit.name, O_RDONLY | O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    if (visit.stat.size > WHOLE_HASH_LIMIT) hashBlocks(fd, visit.stat.size, buffer, hash);
    else for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) hash.update(buffer.subarray(0, n));
    return hash.digest('hex');
  } finally {
    closeFd(fd);
  }
}

/** The same for a file with holes and for one whose holes were filled with zeros, and quick for the former. */
function hashBlocks(fd: number, size: number, buffer: Buffer, hash: ReturnType<typeof createHash>): void {
  const zeros = Buffer.alloc(BLOCK);
  for (let data = seekData(fd, 0); data !== undefined && data < size; ) {
    const end = seekHole(fd, data);
    for (let at = data - (data % BLOCK); at < end; ) {
      const length = readSync(fd, buffer, 0, buffer.length, at);
      for (let block = 0; block < length; block += BLOCK) {
        const bytes = buffer.subarray(block, Math.min(block + BLOCK, length));
        if (!bytes.equals(zeros.subarray(0, bytes.length))) hash.update(`${at + block} `).update(bytes);
      }
      if (length === 0) break;
      at += length;
    }
    data = end >= size ? undefined : seekData(fd, end);
  }
}

/** What differs, a line a record and field, for messages that can be read; empty when the trees are equal. */
export function compareTrees(expected: readonly TreeRecord[], found: readonly TreeRecord[]): string[] {
  const differences: string[] = [];
  const rest = new Map(found.map((record) => [record.path, record]));
  for (const want of expected) {
    const have = rest.get(want.path);
    rest.delete(want.path);
    if (!have) differences.push(`missing: ${want.type} ${show(want.path)}`);
    else differences.push(...compareRecords(want, have));
  }
  for (const record of rest.values()) differences.push(`unexpected: ${record.type} ${show(record.path)}`);
  return differences;
}

const FIELDS = ['type', 'mode', 'uid', 'gid', 'size', 'mtime', 'target', 'device', 'xattrs', 'linkedTo', 'content'];

function compareRecords(want: TreeRecord, have: TreeRecord): string[] {
  return FIELDS.flatMap((field) => {
    const [a, b] = [String(want[field as keyof TreeRecord]), String(have[field as keyof TreeRecord])];
    return a === b ? [] : [`${show(want.path)}: ${field}: expected ${a}, found ${b}`];
  });
}

function show(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
