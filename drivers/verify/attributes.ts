/** The attributes of an unpacked file: whether they are those of its entry, as far as the file system holds them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TarEntry } from '../../src/archive/entry.ts';
import { makeTrial } from '../../src/archive/extract/trial.ts';
import { openDirectoryAt, statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { randomHex } from '../../src/sys/random.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import { entryOf, isCarried, type Located, sameXattrs, typeOf } from '../changes/metadata.ts';
import type { Directories, Draft } from '../directories/directories.ts';
import { openDirectory } from '../directories/root.ts';
import { removeTree } from '../tree/remove.ts';

/** Finds what differs. In doubt it unpacks the entry once more, in a directory of its own, and looks at that. */
export class AttributeCheck implements AsyncDisposable {
  readonly #directories: Directories;
  #draft: Draft | undefined;

  /** @param directories on the layer's file system: a draft is made there when there is something to try */
  constructor(directories: Directories) {
    this.#directories = directories;
  }

  /** What is not as the entry says, in words; undefined when all is. */
  difference(found: Located, entry: TarEntry): string | undefined {
    const type = typeOf(found.stat);
    if (type !== entry.type) return `is ${type === undefined ? 'something else' : `a ${type}`}, not a ${entry.type}`;
    const now = entryOf(found, type, NOTHING);
    const difference = differenceOf(now, { ...entry, xattrs: entry.xattrs.filter(({ name }) => isCarried(name)) });
    // What no file system changes.
    if (difference === undefined || ['size', 'target', 'device'].includes(difference)) return other(difference);
    return other(differenceOf(now, this.#unpacked(entry)));
  }

  #unpacked(entry: TarEntry): TarEntry {
    this.#draft ??= this.#directories.begin(trialId());
    const trial = join(this.#draft.path, 'trial');
    mkdirSync(trial);
    const parentFd = openDirectory(trial);
    try {
      makeTrial(Buffer.from(join(trial, 'entry')), entry);
      return { ...lookAt(parentFd, Buffer.from('entry')), size: entry.size };
    } finally {
      closeFd(parentFd);
      for (const _ of removeTree(trial));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draft?.discard();
  }
}

/** Longer than any layer's: those are counted. */
function trialId(): string {
  return `z${randomHex(7)}z`;
}

const NOTHING = Buffer.alloc(0);

function lookAt(parentFd: number, name: Buffer): TarEntry {
  const stat = statAt(parentFd, name);
  const type = stat && typeOf(stat);
  if (stat === undefined || type === undefined) throw new TypeError('what was made is not there');
  const fd = isDirectory(stat) ? openDirectoryAt(parentFd, name) : -1;
  try {
    return entryOf({ parentFd, name, fd, stat }, type, NOTHING);
  } finally {
    if (fd !== -1) closeFd(fd);
  }
}

const other = (what: string | undefined): string | undefined => what && `has another ${what}`;

function differenceOf(a: TarEntry, b: TarEntry): string | undefined {
  if (a.type === 'file' && a.size !== b.size) return 'size';
  if (a.type === 'symlink' && Buffer.compare(a.linkname, b.linkname) !== 0) return 'target';
  const device = a.type === 'char' || a.type === 'block';
  if (device && (a.deviceMajor !== b.deviceMajor || a.deviceMinor !== b.deviceMinor)) return 'device';
  // A link has no mode of its own.
  if (a.type !== 'symlink' && a.mode !== b.mode) return 'mode';
  if (a.uid !== b.uid || a.gid !== b.gid) return 'owner';
  if (a.mtime.seconds !== b.mtime.seconds || a.mtime.nanoseconds !== b.mtime.nanoseconds) return 'time';
  return sameXattrs(a.xattrs, b.xattrs) ? undefined : 'set of extended attributes';
}
