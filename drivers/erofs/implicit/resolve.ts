/**
 * Directories that a layer implies (`usr/bin/new` without an entry for `usr/bin`) and that a layer below names: they
 * ought to look as that one says. A layer's image cannot know it, since it is written without its parents; but
 * overlayfs shows a directory as its topmost layer has it. So the attributes are looked up when a stack is mounted,
 * and laid over it (attributes.ts).
 */
import { constants } from 'node:fs';
import type { Xattr } from '../../../src/archive/entry.ts';
import type { Inode } from '../format/inode.ts';
import { FT_DIRECTORY } from '../format/layout.ts';
import { overlayMark } from '../format/xattr.ts';
import type { ImageReader } from '../read/image-reader.ts';

const SLASH = 0x2f;

/** What a directory of the stack looks like. */
export interface Looks {
  readonly inode: Inode;
  readonly xattrs: readonly Xattr[];
}

/** A directory as one layer has it. */
type Found = { readonly looks: Looks; readonly implicit: boolean };

/** What one layer says of a path: the directory, or nothing, and whether layers below may speak. */
interface Said {
  readonly found: Found | undefined;
  readonly goOn: boolean;
}

/** Paths of the directories that this layer implies, the root not among them. */
export function* impliedPaths(image: ImageReader): Generator<Buffer, void> {
  const pending: { nid: number; path: Buffer }[] = [{ nid: image.superblock.rootNid, path: Buffer.alloc(0) }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const inode = image.inode(next.nid);
    if (next.path.length > 0 && overlayMark(image.xattrs(inode), 'implicit')) yield next.path;
    for (const { name, nid, type } of image.entries(inode)) {
      if (type === FT_DIRECTORY) pending.push({ nid, path: joined(next.path, name) });
    }
  }
}

function joined(path: Buffer, name: Uint8Array): Buffer {
  return path.length === 0 ? Buffer.from(name) : Buffer.concat([path, Buffer.of(SLASH), name]);
}

/**
 * How a directory of the stack should look, and whether it already does. Undefined where the stack shows no
 * directory of that path. @param images the stack, top first
 */
export function looksOf(
  images: readonly ImageReader[],
  path: Uint8Array,
): { readonly looks: Looks; readonly shown: boolean } | undefined {
  let top: Found | undefined;
  for (const image of images) {
    const { found, goOn } = ask(image, path);
    top ??= found;
    if (found !== undefined && !found.implicit) return { looks: found.looks, shown: found === top };
    if (!goOn) break;
  }
  return top && { looks: top.looks, shown: true };
}

function ask(image: ImageReader, path: Uint8Array): Said {
  let inode = image.root;
  let below = true;
  for (let start = 0; start < path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    const nid = image.child(inode, path.subarray(start, end));
    if (nid === undefined) return { found: undefined, goOn: below };
    inode = image.inode(nid);
    // A whiteout, or any other thing in a directory's place, hides what is below.
    if ((inode.mode & constants.S_IFMT) !== constants.S_IFDIR) return { found: undefined, goOn: false };
    if (overlayMark(image.xattrs(inode), 'opaque')) below = false;
    start = end + 1;
  }
  const xattrs = image.xattrs(inode);
  const implicit = path.length === 0 ? image.note.implicitRoot : overlayMark(xattrs, 'implicit');
  return { found: { looks: { inode, xattrs: xattrs.filter(isShown) }, implicit }, goOn: below };
}

/** Not what the driver itself put there. */
function isShown({ name }: Xattr): boolean {
  return !Buffer.from(name).toString('latin1').startsWith('trusted.overlay.');
}
