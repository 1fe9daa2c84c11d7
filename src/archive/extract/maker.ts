/** Makes names in the confined directory, whatever is in the way or missing above them. */
import { TslayerError } from '../../errors.ts';
import { S_IFDIR } from '../../sys/files.ts';
import { errnos } from '../../sys/libc.ts';
import { makeDirectory } from '../../sys/make-files.ts';
import { quote } from '../tar/bytes.ts';
import { must } from './attributes.ts';
import { AufsSpelling } from './aufs-spelling.ts';
import { isMissingParent, look } from './look.ts';
import { MergeSpelling } from './merge-spelling.ts';
import { OverlaySpelling } from './overlay-spelling.ts';
import { makeParents } from './parents.ts';
import type { ExtractOptions } from './plan.ts';
import { removeTree } from './remove.ts';
import { type Extraction, keyOf, type Spelling } from './spelling.ts';
import { DirectoryTimes } from './times.ts';

const EPOCH = { seconds: 0, nanoseconds: 0 };

export class Maker implements Extraction {
  readonly spelling: Spelling;
  readonly times: DirectoryTimes = new DirectoryTimes();
  /** Directories without an entry of their own, by key. */
  readonly implied: Set<string> = new Set();

  constructor(options: ExtractOptions) {
    if (options.spelling === 'overlay') this.spelling = new OverlaySpelling(this, options.userxattr ?? false);
    else this.spelling = options.spelling === 'aufs' ? new AufsSpelling(this) : new MergeSpelling(this, false);
  }

  /** Makes a directory, or keeps the one that is there (false). `mode` without setuid and setgid. */
  directory(path: Uint8Array, mode: number): boolean {
    this.spelling.before(path);
    let result = makeDirectory(path, mode);
    let inTheWay = false;
    if (isMissingParent(result)) {
      this.#parentsOf(path);
      result = makeDirectory(path, mode);
    }
    if (result === -errnos.EEXIST) {
      if (look(path)?.type === S_IFDIR) return false;
      inTheWay = true;
      this.#clear(path);
      result = makeDirectory(path, mode);
    }
    must(result, 'make the directory', path);
    if (inTheWay) this.spelling.replaced(path);
    return true;
  }

  /** Makes anything else by `call`, which answers as sys/make-files does; its result. */
  file(path: Uint8Array, call: () => number): number {
    this.spelling.before(path);
    let result = call();
    if (isMissingParent(result)) {
      this.#parentsOf(path);
      result = call();
    }
    if (result === -errnos.EEXIST) {
      this.#clear(path);
      result = call();
    }
    return result;
  }

  ensureDirectory(path: Uint8Array): void {
    this.ensureParents(path);
    if (path.length === 0 || this.#implicit(path)) return;
    throw new TslayerError('MALFORMED', `${quote(path)}: opaque, but not a directory`);
  }

  ensureParents(path: Uint8Array): void {
    makeParents(path, (directory) => this.#implicit(directory));
  }

  #parentsOf(path: Uint8Array): void {
    this.ensureParents(path);
    this.spelling.before(path);
  }

  /** A directory that no entry names: 0755, owned by root, of time 0. What lies below it is not known here. */
  #implicit(path: Uint8Array): boolean {
    const found = look(path);
    if (found !== undefined && !this.spelling.isWhiteout(path)) return found.type === S_IFDIR;
    if (this.directory(path, 0o755)) {
      this.times.add(path, EPOCH);
      this.implied.add(keyOf(path));
    }
    return true;
  }

  /** An earlier entry of the name goes, as does a whiteout. */
  #clear(path: Uint8Array): void {
    if (removeTree(path)) this.times.replaced = true;
  }
}
