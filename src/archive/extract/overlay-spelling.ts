/**
 * Whiteouts as overlayfs reads them: a character device 0:0, and the attribute `overlay.opaque` on a directory.
 * Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
 */
import { TslayerError } from '../../errors.ts';
import { O_DIRECTORY, O_RDONLY, openAt } from '../../sys/at.ts';
import { S_IFCHR, S_IFDIR } from '../../sys/files.ts';
import { closeFd, errnos } from '../../sys/libc.ts';
import { makeNode, removeFile } from '../../sys/make-files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { getXattr, setXattrFd } from '../../sys/xattr.ts';
import { quote } from '../tar/bytes.ts';
import { must } from './attributes.ts';
import { Hidden } from './hidden.ts';
import { isMissingParent, look } from './look.ts';
import { type Extraction, inside, isUnder, keyOf, parentOf, Spelling } from './spelling.ts';

export class OverlaySpelling extends Spelling {
  readonly #extraction: Extraction;
  readonly #prefix: string;
  readonly #hidden: Hidden = new Hidden();

  constructor(extraction: Extraction, userxattr: boolean) {
    super();
    this.#extraction = extraction;
    this.#prefix = userxattr ? 'user.overlay.' : 'trusted.overlay.';
  }

  override isWhiteout(path: Uint8Array): boolean {
    return this.#hidden.hasWhiteouts && isWhiteoutDevice(path);
  }

  override replaced(path: Uint8Array): void {
    this.mark(path, 'opaque', 'y');
    this.#hidden.addOpaque(path);
  }

  override whiteout(path: Uint8Array): void {
    let result = makeNode(path, S_IFCHR, 0);
    if (isMissingParent(result)) {
      this.#extraction.ensureParents(path);
      result = makeNode(path, S_IFCHR, 0);
    }
    if (result === -errnos.EEXIST) {
      // `.wh.X` beside X: X is this layer's, and the whiteout speaks of what lies below.
      if (look(path)?.type === S_IFDIR) this.replaced(path);
      return;
    }
    must(result, 'make the whiteout', path);
    this.#hidden.addWhiteout(path);
  }

  override opaque(path: Uint8Array): void {
    this.#extraction.ensureDirectory(path);
    this.replaced(path);
  }

  /**
   * Whiteouts that hide nothing would show up as devices. In an opaque directory they are removed; elsewhere the
   * directory gets an (empty) origin, which makes overlayfs filter them also where no other layer has it.
   */
  override finish(): void {
    const parents = new Set<string>();
    const mark = `${this.#prefix}opaque`;
    const opaque = this.#hidden.opaqueNow((directory) => getXattr(inside(directory), mark) !== undefined);
    for (const path of this.#hidden.whiteoutsNow()) {
      if (!isWhiteoutDevice(path)) continue;
      if (isUnder(keyOf(path), opaque)) must(removeFile(path), 'remove the whiteout', path);
      else parents.add(keyOf(parentOf(path)));
    }
    for (const key of parents) this.mark(Buffer.from(key, 'latin1'), 'origin', '');
  }

  protected mark(directory: Uint8Array, name: 'opaque' | 'origin', value: string): void {
    const fd = openAt(AT_FDCWD, inside(directory), O_RDONLY | O_DIRECTORY);
    try {
      setXattrFd(fd, this.#prefix + name, Buffer.from(value));
    } catch (error) {
      const what = `${quote(directory)}: cannot mark it ${name}: ${(error as Error).message}`;
      throw new TslayerError('UNSUPPORTED', what, { cause: error });
    } finally {
      closeFd(fd);
    }
  }
}

function isWhiteoutDevice(path: Uint8Array): boolean {
  const found = look(path);
  return found?.type === S_IFCHR && found.deviceMajor === 0 && found.deviceMinor === 0;
}
