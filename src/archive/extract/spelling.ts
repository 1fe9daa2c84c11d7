/**
 * How a layer's whiteouts appear in its directory: the one thing in which extraction differs from driver to driver.
 * The defaults do nothing.
 */

/** What spellings may ask of the extraction. Paths are from the layer's root. */
export interface Extraction {
  /** The directory, made with its parents where it is missing; MALFORMED where something else is. */
  ensureDirectory(path: Uint8Array): void;
  /** The directories above. */
  ensureParents(path: Uint8Array): void;
}

export abstract class Spelling {
  /** A name is about to be made or removed. */
  before(_path: Uint8Array): void {}

  /** Whether what is there under this name is a whiteout of this layer. */
  isWhiteout(_path: Uint8Array): boolean {
    return false;
  }

  /** A directory took the place of something else of this layer: what lower layers have in it stays hidden. */
  replaced(_path: Uint8Array): void {}

  abstract whiteout(path: Uint8Array): void;
  abstract opaque(path: Uint8Array): void;

  /** All entries are there. */
  finish(): void {}
}

const SLASH = 0x2f;

/** `''` for a name in the root. */
export function parentOf(path: Uint8Array): Uint8Array {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}

export function nameOf(path: Uint8Array): Uint8Array {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

/** A directory by a path that leads to it also when its last component is a link. */
export function inside(directory: Uint8Array): Uint8Array {
  return directory.length === 0 ? Buffer.from('.') : Buffer.concat([directory, Buffer.from('/.')]);
}

export function join(directory: Uint8Array, name: Uint8Array): Uint8Array {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]);
}

export function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}

/** Whether a directory above `path` is in the set (keys as by keyOf; '' is the root). */
export function isUnder(path: string, directories: ReadonlySet<string>): boolean {
  if (directories.has('')) return true;
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (directories.has(path.slice(0, at))) return true;
  }
  return false;
}
