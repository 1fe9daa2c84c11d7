/** A snapshot's root directory looks like the topmost layer's that says anything of its root. */
import { chmodSync, chownSync } from 'node:fs';
import type { Xattr } from '../../src/archive/entry.ts';
import { setTimes } from '../../src/sys/files.ts';
import { setXattr } from '../../src/sys/xattr.ts';
import type { Stack } from '../driver.ts';
import type { Files } from './files.ts';
import type { Inode } from './format/inode.ts';
import { ImageReader } from './read/image-reader.ts';

/** overlayfs shows the upper directory's own attributes at the root, so they must be those of the layers. */
export function copyRoot(files: Files, stack: Stack, upper: string): void {
  const root = findRoot(files, stack);
  if (root === undefined) return;
  chownSync(upper, root.inode.uid, root.inode.gid);
  chmodSync(upper, root.inode.mode & 0o7777);
  for (const { name, value } of root.xattrs) setXattr(upper, name, value);
  setTimes(upper, root.inode.seconds, root.inode.nanoseconds);
}

function findRoot(files: Files, stack: Stack): { inode: Inode; xattrs: Xattr[] } | undefined {
  for (const id of stack) {
    using image = new ImageReader(files.requireLayer(id).path);
    if (!image.note.implicitRoot) return { inode: image.root, xattrs: image.xattrs(image.root).filter(isShown) };
    if (image.note.opaqueRoot) return undefined;
  }
  return undefined;
}

/** Not what the driver itself put there. */
function isShown({ name }: Xattr): boolean {
  return !Buffer.from(name).toString('latin1').startsWith('trusted.overlay.');
}
