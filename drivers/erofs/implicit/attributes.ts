/**
 * A small image for the top of a stack: the directories that its layers imply, with the attributes that layers below
 * give them. Made when the stack is first mounted, kept (stack-files.ts) and removed with any of its layers, since it is
 * nothing but a cache. In the place of a tar it has the names of their files, top first, a line each.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { MAX_LOWER } from '../../overlay/options.ts';
import type { LayerFile, LayerFiles } from '../files.ts';
import { HEAD_SIZE } from '../format/layout.ts';
import type { ImageReader } from '../read/image-reader.ts';
import { noteOf } from '../read/note-of.ts';
import { openImages } from '../read/open-images.ts';
import { ErofsSink } from '../sink.ts';
import { impliedPaths, type Looks, looksOf } from './resolve.ts';

const NOTHING = new Uint8Array(0);

/** The image for a stack, top first; undefined where it is not needed. `root`: the root's looks matter, too. */
export function looksImage(files: LayerFiles, layers: readonly LayerFile[], root: boolean): LayerFile | undefined {
  if (layers.length < 2 || layers.length >= MAX_LOWER || !mayImply(layers, root)) return undefined;
  const paths = layers.map((layer) => layer.path);
  const names = paths.map((layer) => basename(layer));
  const path = looksPath(files, names, root);
  if (existsSync(path)) return { path, opaqueRoot: false };
  using images = openImages(paths);
  const wanted = collect(images.readers, root);
  if (wanted.size === 0) return undefined;
  files.stacks.publish(path, (temporary) => write(temporary, basename(path), names, wanted));
  return { path, opaqueRoot: false };
}

/** @param names of the layers' files, top first */
export function looksPath(files: LayerFiles, names: readonly string[], root: boolean): string {
  return files.stacks.path('looks', [root, ...names]);
}

/** Whether looking closer is worth it: the notes tell, and say no of most images. */
function mayImply(layers: readonly LayerFile[], root: boolean): boolean {
  const notes = layers.map(({ path }) => noteOf(path));
  if (root && notes[0]?.implicitRoot && notes.some((note) => !note.implicitRoot)) return true;
  return notes.slice(0, -1).some((note) => note.implicitDirectories);
}

/** Looks by path (latin1), of directories that do not look so by themselves and of all above them. */
function collect(images: readonly ImageReader[], root: boolean): Map<string, Looks> {
  const wanted = new Map<string, Looks>();
  const want = (path: Uint8Array): void => {
    const found = looksOf(images, path);
    if (found === undefined || found.shown) return;
    for (const part of withParents(path)) {
      const looks = looksOf(images, part)?.looks;
      if (looks !== undefined) wanted.set(Buffer.from(part).toString('latin1'), looks);
    }
  };
  if (root) want(NOTHING);
  // The lowest layer implies nothing that another could name.
  for (const image of images.slice(0, -1)) {
    if (image.note.implicitDirectories) for (const path of impliedPaths(image)) want(path);
  }
  return wanted;
}

/** The root, each parent, the path itself. */
function* withParents(path: Uint8Array): Generator<Uint8Array, void> {
  yield NOTHING;
  for (let slash = path.indexOf(0x2f); slash !== -1; slash = path.indexOf(0x2f, slash + 1)) {
    yield path.subarray(0, slash);
  }
  if (path.length > 0) yield path;
}

function write(path: string, name: string, layers: readonly string[], wanted: ReadonlyMap<string, Looks>): void {
  const stack = Buffer.from(layers.join('\n'));
  writeFileSync(path, Buffer.concat([Buffer.alloc(HEAD_SIZE), stack]));
  const sink = new ErofsSink({ path, name, durable: false });
  try {
    for (const [directory, looks] of wanted) sink.entry(directoryEntry(Buffer.from(directory, 'latin1'), looks));
    sink.finish(stack.length);
  } finally {
    sink.close();
  }
}

function directoryEntry(path: Uint8Array, { inode, xattrs }: Looks): TarEntry {
  return {
    type: 'directory',
    path,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    mtime: { seconds: inode.seconds, nanoseconds: inode.nanoseconds },
    size: 0,
    linkname: NOTHING,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs,
    dataOffset: 0,
    storedSize: 0,
  };
}
