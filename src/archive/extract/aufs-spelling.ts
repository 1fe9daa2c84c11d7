/**
 * Whiteouts as AUFS reads them: a file `.wh.NAME`. Both NAME and its whiteout in one branch make AUFS fail with EIO:
 * the whiteout goes then, since it speaks of the layers below.
 *
 * Not so opaque directories. Of several marks on one directory AUFS honours the lowest, and shows what the upper ones
 * hide; and it sets them itself, in writable branches. So a layer's mark has a name that means nothing to AUFS, and
 * the driver hides what is below in each stack by whiteouts (drivers/aufs/gaps.ts).
 */
import { TslayerError } from '../../errors.ts';
import { S_IFDIR } from '../../sys/files.ts';
import { closeFd, errnos } from '../../sys/libc.ts';
import { createFile, removeFile } from '../../sys/make-files.ts';
import { quote } from '../tar/bytes.ts';
import { WHITEOUT_PREFIX } from '../tar/whiteouts.ts';
import { must } from './attributes.ts';
import { Hidden } from './hidden.ts';
import { isMissingParent, look } from './look.ts';
import { type Extraction, isUnder, join, keyOf, nameOf, parentOf, Spelling } from './spelling.ts';

/** To AUFS the whiteout of a name that nobody can have: invisible. */
export const AUFS_LAYER_OPAQUE = '.wh..wh.opaque';
const OPAQUE = Buffer.from(AUFS_LAYER_OPAQUE);
const PREFIX = Buffer.from(WHITEOUT_PREFIX);
/** A longer name, or one whose whiteout it would take, gives ENAMETOOLONG in the union: AUFS_MAX_NAMELEN. */
const MAX_NAME = 242;

export class AufsSpelling extends Spelling {
  readonly #extraction: Extraction;
  readonly #hidden: Hidden = new Hidden();

  constructor(extraction: Extraction) {
    super();
    this.#extraction = extraction;
  }

  override before(path: Uint8Array): void {
    if (nameOf(path).length <= MAX_NAME) return;
    throw new TslayerError('UNSUPPORTED', `${quote(path)}: AUFS takes names of at most ${MAX_NAME} bytes`);
  }

  override replaced(path: Uint8Array): void {
    this.#hidden.addOpaque(path);
    this.#create(join(path, OPAQUE));
  }

  override whiteout(path: Uint8Array): void {
    // No layer below can have such a name.
    if (nameOf(path).length > MAX_NAME) return;
    const found = look(path);
    if (found !== undefined) {
      if (found.type === S_IFDIR) this.replaced(path);
      return;
    }
    this.#hidden.addWhiteout(path);
    this.#create(whiteoutOf(path));
  }

  override opaque(path: Uint8Array): void {
    this.#extraction.ensureDirectory(path);
    this.replaced(path);
  }

  /**
   * A name and its whiteout may have come by different paths; of a directory that is what makes it opaque. In an opaque
   * directory nothing is left to hide.
   */
  override finish(): void {
    for (const path of this.#hidden.whiteoutsNow()) {
      const found = look(path);
      if (found !== undefined && removeWhiteout(path) && found.type === S_IFDIR) this.replaced(path);
    }
    const isMarked = (directory: Uint8Array) => look(join(directory, OPAQUE)) !== undefined;
    const opaque = this.#hidden.opaqueNow(isMarked);
    for (const path of this.#hidden.whiteoutsNow()) if (isUnder(keyOf(path), opaque)) removeWhiteout(path);
  }

  #create(path: Uint8Array): void {
    let fd = createFile(path, 0o644);
    if (isMissingParent(fd)) {
      this.#extraction.ensureParents(path);
      fd = createFile(path, 0o644);
    }
    if (fd === -errnos.EEXIST) return;
    closeFd(must(fd, 'make the whiteout', path));
  }
}

/** False when it is not there: it may have gone with the directory that it was in. */
function removeWhiteout(path: Uint8Array): boolean {
  const removed = removeFile(whiteoutOf(path));
  return removed !== -errnos.ENOENT && must(removed, 'remove the whiteout', path) >= 0;
}

function whiteoutOf(path: Uint8Array): Uint8Array {
  return join(parentOf(path), Buffer.concat([PREFIX, nameOf(path)]));
}
