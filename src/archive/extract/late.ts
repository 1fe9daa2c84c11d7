/**
 * What a directory gets when nothing is made in it any more: setgid would hand its group on to what is made in it,
 * a default ACL its entries.
 */
import { O_DIRECTORY, O_RDONLY, openAt } from '../../sys/at.ts';
import { closeFd, hasErrno } from '../../sys/libc.ts';
import { setModeFd } from '../../sys/make-files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import type { TarEntry } from '../entry.ts';
import { isDefaultAcl, must, setXattrs } from './attributes.ts';
import { inside, keyOf } from './spelling.ts';
import type { Warnings } from './warnings.ts';

const SETUID_SETGID = 0o6000;

export class LateAttributes {
  readonly #entries: Map<string, TarEntry> = new Map();
  readonly #warnings: Warnings;

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  /** Looks at a directory's entry; the last one of a name counts. */
  add(entry: TarEntry): void {
    const needed = (entry.mode & SETUID_SETGID) !== 0 || entry.xattrs.some(isDefaultAcl);
    if (needed) this.#entries.set(keyOf(entry.path), entry);
    else if (this.#entries.size > 0) this.#entries.delete(keyOf(entry.path));
  }

  apply(): void {
    for (const entry of this.#entries.values()) {
      try {
        this.#apply(entry);
      } catch (error) {
        // A later entry removed the directory, or took its place.
        if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
      }
    }
  }

  #apply(entry: TarEntry): void {
    const path = entry.path.length === 0 ? inside(entry.path) : entry.path;
    const fd = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    try {
      must(setModeFd(fd, entry.mode), 'chmod', path);
      setXattrs(fd, entry, entry.xattrs.filter(isDefaultAcl), this.#warnings);
    } finally {
      closeFd(fd);
    }
  }
}
