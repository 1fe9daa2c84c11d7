/** What a built layer is made of: files given as values, or a directory of the machine that builds. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { EntryType, TarEntry } from '../archive/entry.ts';
import { entryTypeOf } from '../archive/entry-type.ts';
import type { TarItem } from '../archive/tar-writer.ts';
import { asTslayerError, TslayerError } from '../errors.ts';
import { O_RDONLY, openAt, readlinkAt, type StatAt } from '../sys/at.ts';
import { closeFd } from '../sys/libc.ts';
import { type Visit, walkTree } from '../sys/walk.ts';
import { getXattr } from '../sys/xattr.ts';

export interface FileSource {
  readonly content: string | Uint8Array;
  /** Default 0o644. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** One layer. */
export type LayerSource =
  | {
      /** By path in the image: `/etc/motd`. Times are the epoch, so that equal files are equal layers. */
      readonly files: Readonly<Record<string, string | Uint8Array | FileSource>>;
    }
  | {
      /** A directory, whose content goes to `target` with modes, times, links and file capabilities. */
      readonly directory: string;
      /** Default `/`. */
      readonly target?: string | undefined;
      /** Who owns it all in the image. Default 0:0, as with COPY in a Dockerfile; `keep`: as on disk. */
      readonly owner?: { readonly uid: number; readonly gid: number } | 'keep' | undefined;
    };

/** The layer's items: a directory before its content, siblings sorted. */
export function layerItems(source: LayerSource): AsyncGenerator<TarItem, void> {
  return 'files' in source ? fileItems(source.files) : directoryItems(source);
}

const EMPTY = Buffer.alloc(0);
const EPOCH = { seconds: 0, nanoseconds: 0 };

/** A path in the image without slashes at its ends. INVALID_ARGUMENT when it climbs. */
function imagePath(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || text.includes('\0')) {
    throw new TslayerError('INVALID_ARGUMENT', `not a path in an image: ${JSON.stringify(text.slice(0, 200))}`);
  }
  return parts.join('/');
}

async function* fileItems(
  files: Readonly<Record<string, string | Uint8Array | FileSource>>,
): AsyncGenerator<TarItem, void> {
  const sources = Object.entries(files).map(([path, source]) => ({ path: Buffer.from(imagePath(path)), source }));
  for (const { path, source } of sources.sort((a, b) => Buffer.compare(a.path, b.path))) {
    if (path.length === 0) throw new TslayerError('INVALID_ARGUMENT', 'the root directory is no file');
    const spec: FileSource = typeof source === 'string' || source instanceof Uint8Array ? { content: source } : source;
    const bytes = Buffer.from(spec.content);
    const { mode = 0o644, uid = 0, gid = 0 } = spec;
    const entry = entryOf('file', path, { mode, uid, gid, mtime: EPOCH, size: bytes.length });
    yield { kind: 'added', entry, open: () => once(bytes) };
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

type Attributes = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime'> & Partial<TarEntry>;

function entryOf(type: EntryType, path: Uint8Array, attributes: Attributes): TarEntry {
  const size = attributes.size ?? 0;
  const plain = { size, linkname: EMPTY, deviceMajor: 0, deviceMinor: 0, xattrs: [], dataOffset: 0, storedSize: size };
  return { type, path, ...plain, ...attributes };
}

async function* directoryItems({
  directory,
  target = '/',
  owner = { uid: 0, gid: 0 },
}: Extract<LayerSource, { directory: string }>): AsyncGenerator<TarItem, void> {
  const prefix = imagePath(target);
  const fd = openDirectory(directory);
  const links = new Map<bigint, Uint8Array>();
  try {
    for (const visit of walkTree(fd)) {
      // The directory itself has a say in how its target looks, but not in how an image's root does.
      if (visit.event === 'leave' || (prefix === '' && visit.path.length === 0)) continue;
      const path = Buffer.from(join(prefix, visit.path.toString('latin1')).replace(/\/$/, ''), 'latin1');
      const item = itemOf(visit, path, owner, links);
      if (item) yield item;
    }
  } finally {
    closeSync(fd);
  }
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw asTslayerError(error, `cannot read the directory ${path}`);
  }
}

/** Undefined for sockets, which no archive holds. */
function itemOf(
  visit: Visit,
  path: Buffer,
  owner: { readonly uid: number; readonly gid: number } | 'keep',
  links: Map<bigint, Uint8Array>,
): TarItem | undefined {
  const { stat, parentFd, name } = visit;
  const type = entryTypeOf(stat.mode);
  if (!type) return undefined;
  const attributes = { ...attributesOf(stat), ...(owner === 'keep' ? {} : owner) };
  const first = type !== 'directory' && stat.nlink > 1 ? links.get(stat.ino) : undefined;
  if (first) {
    const xattrs = type === 'file' ? capabilities(parentFd, name) : [];
    return { kind: 'added', entry: entryOf('hardlink', path, { ...attributes, linkname: first, xattrs }) };
  }
  links.set(stat.ino, path);
  if (type === 'symlink') {
    return { kind: 'added', entry: entryOf(type, path, { ...attributes, linkname: readlinkAt(parentFd, name) }) };
  }
  if (type !== 'file') return { kind: 'added', entry: entryOf(type, path, withDevice(attributes, type, stat)) };
  const xattrs = capabilities(parentFd, name);
  const entry = entryOf(type, path, { ...attributes, size: stat.size, storedSize: stat.size, xattrs });
  return { kind: 'added', entry, open: () => readFile(parentFd, name, stat.size) };
}

function attributesOf(stat: StatAt): Attributes {
  return {
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds },
  };
}

function withDevice(attributes: Attributes, type: EntryType, stat: StatAt): Attributes {
  const { deviceMajor, deviceMinor } = stat;
  return type === 'char' || type === 'block' ? { ...attributes, deviceMajor, deviceMinor } : attributes;
}

const CAPABILITY = Buffer.from('security.capability');

/** The one attribute that programs need wherever they run; others are the machine's. */
function capabilities(parentFd: number, name: Buffer): TarEntry['xattrs'] {
  const value = getXattr(Buffer.concat([Buffer.from(`/proc/self/fd/${parentFd}/`), name]), CAPABILITY);
  return value ? [{ name: CAPABILITY, value }] : [];
}

const CHUNK = 256 * 1024;

/** Exactly `size` bytes: a file that shrinks meanwhile is filled up, one that grows is cut, as tar does it. */
async function* readFile(parentFd: number, name: Buffer, size: number): AsyncGenerator<Uint8Array, void> {
  const fd = openAt(parentFd, name, O_RDONLY);
  try {
    for (let at = 0; at < size; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK, size - at));
      readSync(fd, chunk, 0, chunk.length, at);
      yield chunk;
      at += chunk.length;
    }
  } finally {
    closeFd(fd);
  }
}
