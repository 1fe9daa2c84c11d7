/** Random system calls in a directory, the same on every file system: what each answers is part of the result. */
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { snapshotTree, type TreeRecord } from '../../drivers/conformance/tree.ts';
import { exchange, makedev, mknod, S_IFCHR, S_IFIFO, setTimes } from '../../src/sys/files.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { setXattr } from '../../src/sys/xattr.ts';

export interface Write {
  /** A key of CALLS. */
  readonly call: string;
  readonly path: string;
  readonly other: string;
  readonly number: number;
}

type Call = (path: string, other: string, n: number) => unknown;

// A FIFO without a reader answers ENXIO then, instead of keeping the test for ever.
const { O_APPEND, O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;
const WRITE = O_WRONLY | O_CREAT | O_NONBLOCK;

function writeTo(path: string, flags: number, text: string): void {
  const fd = openSync(path, WRITE | flags, 0o666);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

const CALLS: Readonly<Record<string, Call>> = {
  write: (path, _, n) => writeTo(path, O_TRUNC, 'w'.repeat(n)),
  append: (path, _, n) => writeTo(path, O_APPEND, `${n}`),
  truncate: (path, _, n) => truncateSync(path, n),
  unlink: (path) => unlinkSync(path),
  remove: (path) => rmSync(path, { recursive: true }),
  rmdir: (path) => rmdirSync(path),
  mkdir: (path) => mkdirSync(path),
  rename: (path, other) => renameFile(path, other),
  exchange: (path, other) => exchangeFiles(path, other),
  link: (path, other) => linkSync(path, other),
  symlink: (path, other) => symlinkSync(other, path),
  device: (path, _, n) => mknod(path, S_IFCHR | 0o600, makedev(1, n)),
  hole: (path, _, n) => truncateSync(path, n * 10_000),
  fifo: (path) => mknod(path, S_IFIFO | 0o600),
  chmod: (path, _, n) => chmodSync(path, 0o600 | (n & 0o177)),
  chown: (path, _, n) => lchownSync(path, n, n),
  xattr: (path, _, n) => setXattr(path, 'trusted.n', Buffer.from(`${n}`)),
  touch: (path, _, n) => lutimesSync(path, n, n),
};

/** Directories of a lower layer cannot be renamed on every driver. */
function renameFile(path: string, other: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  renameSync(path, other);
}

/** As for renaming. */
function exchangeFiles(path: string, other: string): void {
  const either = [path, other].map((each) => statSync(each, { throwIfNoEntry: false })?.isDirectory());
  if (!either.includes(true)) exchange(path, other);
}

const paths = ['x', 'y', 'z', 'd', 'd/x', 'd/y', 'd/s', 'd/s/x', 'e', 'e/x', 'n', 'n/x'];

export const writes: fc.Arbitrary<readonly Write[]> = fc.array(
  fc.record({
    call: fc.constantFrom(...Object.keys(CALLS)),
    path: fc.constantFrom(...paths),
    other: fc.constantFrom(...paths),
    number: fc.nat(200),
  }),
  { minLength: 1, maxLength: 25 },
);

/** What one of the drivers cannot do. */
export interface Limits {
  /** Times are set to the second, and copying up gives directories the present time. */
  readonly coarseTimes?: boolean;
  /** Two files cannot always be exchanged. */
  readonly noExchange?: boolean;
}

/** Makes the calls below `root`; 'ok' or the errno of each. */
export function perform(root: string, list: readonly Write[], limits: Limits): string[] {
  const made = list.filter(({ call }) => !(limits.noExchange && call === 'exchange'));
  const results = made.map(({ call, path, other, number }) => {
    try {
      CALLS[call]?.(join(root, path), call === 'symlink' ? other : join(root, other), number);
      return 'ok';
    } catch (error) {
      if (error instanceof Error && 'code' in error && !hasErrno(error, 'EXDEV', 'EIO')) return String(error.code);
      throw error;
    }
  });
  settleTimes(root, limits);
  return results;
}

const RECENT = Date.now() / 1000 - 3600;

/** Whatever got the present time, or might have on one of the drivers, gets one that two runs have in common. */
export function settleTimes(root: string, { coarseTimes = false }: Limits): void {
  const isNew = ({ mtime, type }: TreeRecord): boolean =>
    Number.parseFloat(mtime) > RECENT || (coarseTimes && type === 'directory');
  // What a directory has in it comes first: setting a time may copy up.
  for (const { path } of snapshotTree(root).filter(isNew).reverse()) {
    setTimes(join(root, path), 1_000_000_000, coarseTimes ? 0 : 5);
  }
}
