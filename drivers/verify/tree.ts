/**
 * Layers that are kept as files: whether each of them is as it was unpacked, and nothing else is there. Read through
 * open directories, so that no link leads elsewhere.
 */
import { PLAIN_DIRECTORY } from '../../src/archive/plain-directory.ts';
import { isSameFile, openDirectoryAt, openQuietly, statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import type { Located } from '../changes/metadata.ts';
import type { Listing, Spelling } from '../changes/spelling.ts';
import type { Directories } from '../directories/directories.ts';
import { openDirectory } from '../directories/root.ts';
import type { ExpectedNode } from '../driver.ts';
import { inSlices } from '../tree/slices.ts';
import { AttributeCheck } from './attributes.ts';
import { sameContent } from './content.ts';

export interface TreeToVerify {
  /** The directory that the layer's files are in. */
  readonly tree: string;
  readonly spelling: Spelling;
  /** Whether an open directory has the mark of those with whiteouts; undefined where there is no such mark. */
  readonly filters?: (fd: number) => boolean;
  readonly expected: ExpectedNode;
  /** Where the layer lies: what a file system does to attributes is tried there. */
  readonly directories: Directories;
}

/** The first difference, in one line; undefined when there is none. */
export async function verifyTree(request: TreeToVerify): Promise<string | undefined> {
  const fd = openDirectory(request.tree);
  try {
    await using attributes = new AttributeCheck(request.directories);
    return await inSlices(new Verification(request, attributes).run(fd, request.expected));
  } finally {
    closeFd(fd);
  }
}

type Work = Generator<undefined, string | undefined>;
type Info = NonNullable<ExpectedNode['info']>;

/** A directory that is being read. */
interface Here {
  readonly fd: number;
  /** Bytes as Latin-1, with a slash behind each name. */
  readonly path: string;
  /** Nothing of the layers below shows: whiteouts have gone. */
  readonly closed: boolean;
}

class Verification {
  readonly #marks: Pick<TreeToVerify, 'spelling' | 'filters'>;
  readonly #attributes: AttributeCheck;
  /** Files that have several names, or should. */
  readonly #inodes: Map<Info, bigint> = new Map();
  readonly #files: Map<bigint, Info> = new Map();

  constructor(marks: Pick<TreeToVerify, 'spelling' | 'filters'>, attributes: AttributeCheck) {
    this.#marks = marks;
    this.#attributes = attributes;
  }

  *run(fd: number, root: ExpectedNode): Work {
    const stat = statAt(fd, '.');
    if (stat === undefined) return 'its root is gone';
    return yield* this.#directory({ fd, path: '', closed: false }, root, { parentFd: -1, name: NO_NAME, fd, stat });
  }

  *#directory(above: Here, node: ExpectedNode, located: Located): Work {
    const { fd, path } = above;
    const difference = this.#attributes.difference(located, node.info?.entry ?? { ...PLAIN_DIRECTORY, path: NO_NAME });
    if (difference !== undefined) return `${shown(path)} ${difference}`;
    const { spelling, filters } = this.#marks;
    const listing = spelling.list(fd);
    const opaque = !spelling.whole && (node.opaque === true || node.whiteout === true);
    if (listing.opaque !== opaque) return `${shown(path)} ${opaque ? 'shows' : 'hides'} what layers below have in it`;
    const here = { ...above, closed: above.closed || opaque };
    if (filters && filters(fd) !== hasWhiteouts(here, node)) return `${shown(path)} has another mark of whiteouts`;
    return wrongNames(here, node, listing) ?? (yield* this.#content(here, node));
  }

  *#content(here: Here, { children }: ExpectedNode): Work {
    for (const [name, node] of children ?? []) {
      if (isWhiteout(node)) continue;
      const problem = yield* this.#name(here, Buffer.from(name, 'latin1'), node);
      if (problem !== undefined) return problem;
      yield;
    }
    return undefined;
  }

  *#name(here: Here, name: Buffer, node: ExpectedNode): Work {
    const path = here.path + name.toString('latin1');
    const stat = statAt(here.fd, name);
    if (stat === undefined) return `${shown(path)} is gone`;
    if (isDirectory(stat) && node.children !== undefined) {
      const fd = openDirectoryAt(here.fd, name);
      try {
        return yield* this.#directory({ ...here, fd, path: `${path}/` }, node, { parentFd: here.fd, name, fd, stat });
      } finally {
        closeFd(fd);
      }
    }
    if (node.info === undefined) return `${shown(path)} is no directory`;
    const problem = yield* this.#file({ parentFd: here.fd, name, fd: -1, stat }, node.info);
    return problem && `${shown(path)} ${problem}`;
  }

  *#file(found: Located, info: Info): Work {
    const known = this.#inodes.get(info);
    if (known !== undefined) return known === found.stat.ino ? undefined : 'is no link to its other names';
    if (found.stat.nlink > 1 && this.#files.has(found.stat.ino)) return 'is a link to another file';
    const difference = this.#attributes.difference(found, info.entry);
    if (difference !== undefined) return difference;
    this.#inodes.set(info, found.stat.ino);
    if (found.stat.nlink > 1) this.#files.set(found.stat.ino, info);
    const { entry, crc32 } = info;
    if (entry.type !== 'file' || crc32 === undefined) return undefined;
    const { size, segments } = entry;
    return (yield* hasContent(found, { size, segments, crc32 })) ? undefined : 'has other bytes';
  }
}

function* hasContent(
  { parentFd, name, stat }: Located,
  content: Parameters<typeof sameContent>[1],
): Generator<undefined, boolean> {
  const fd = openQuietly(parentFd, name);
  try {
    return isSameFile(fd, stat) && (yield* sameContent(fd, content));
  } finally {
    closeFd(fd);
  }
}

/** A name that is missing or too many. */
function wrongNames({ path, closed }: Here, { children }: ExpectedNode, { names }: Listing): string | undefined {
  const left = new Map(names.map(({ name, whiteout }) => [name.toString('latin1'), whiteout]));
  for (const [name, node] of children ?? []) {
    const whiteout = isWhiteout(node);
    if (whiteout && closed) continue;
    if (left.get(name) !== whiteout) return `${shown(path + name)} is ${whiteout ? 'no longer hidden' : 'gone'}`;
    left.delete(name);
  }
  const [surplus] = left;
  if (surplus === undefined) return undefined;
  return `${shown(path + surplus[0])} is ${surplus[1] ? 'hidden, and should not be' : 'not of the layer'}`;
}

function hasWhiteouts({ closed }: Here, { children }: ExpectedNode): boolean {
  return !closed && children !== undefined && [...children.values()].some(isWhiteout);
}

/** Nothing but that: one that came with a file of the same name is the file. */
function isWhiteout({ whiteout, info, children }: ExpectedNode): boolean {
  return whiteout === true && info === undefined && children === undefined;
}

const NO_NAME = Buffer.alloc(0);

function shown(path: string): string {
  return JSON.stringify(`/${Buffer.from(path, 'latin1').toString().replace(/\/$/, '')}`);
}
