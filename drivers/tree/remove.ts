/** Deletes trees by descriptors, whatever their names and depth, and never through a mount. */
import { closeSync, openSync, rmdirSync } from 'node:fs';
import { TslayerError } from '../../src/errors.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, renameAt } from '../../src/sys/at.ts';
import {
  found,
  type ListedName,
  listNames,
  openName,
  removeDirectoryName,
  statOpen,
  unlinkName,
} from '../../src/sys/bulk-at.ts';
import { closeFd, errnos, hasErrno, SystemCallError } from '../../src/sys/libc.ts';

/** Deeper directories are moved up and deleted from there, so that no depth is too much. */
const MAX_DEPTH = 512;

/** Steps between two looks at the clock. */
const STRIDE = 16;

/**
 * Deletes `directory` and everything in it, yielding now and then; one that is not there is no error.
 *
 * @throws TslayerError IN_USE when something is mounted inside: what is mounted there is not ours to delete.
 */
export function* removeTree(directory: string): Generator<void, void> {
  let fd: number;
  try {
    fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw error;
  }
  try {
    const removal = new Removal(fd, directory);
    while (yield* removal.run());
    removeEmpty(directory);
  } finally {
    closeSync(fd);
  }
}

interface Frame {
  readonly fd: number;
  readonly name: Uint8Array;
  readonly content: readonly ListedName[];
  next: number;
}

class Removal {
  readonly #root: number;
  /** For messages. */
  readonly #directory: string;
  readonly #frames: Frame[] = [];
  #moved = 0;

  constructor(root: number, directory: string) {
    this.#root = root;
    this.#directory = directory;
  }

  /** True when directories were moved up and are still to be deleted. */
  *run(): Generator<void, boolean> {
    const before = this.#moved;
    const fd = must(openName(this.#root, DOT, O_RDONLY | O_DIRECTORY), 'openat', DOT);
    this.#frames.push({ fd, name: DOT, content: listNames(fd), next: 0 });
    try {
      for (let step = 1; ; step++) {
        const frame = this.#frames.at(-1);
        if (frame === undefined) return this.#moved > before;
        const entry = frame.content[frame.next++];
        if (entry === undefined) this.#leave(frame);
        else this.#remove(frame, entry);
        if (step % STRIDE === 0) yield;
      }
    } finally {
      for (const frame of this.#frames.splice(0)) closeFd(frame.fd);
    }
  }

  #remove(frame: Frame, { name, type }: ListedName): void {
    if (type !== 'directory') {
      const answer = unlinkName(frame.fd, name);
      // EISDIR: where the listing does not tell directories from the rest.
      if (answer !== -errnos.EISDIR) {
        this.#expect(answer, name);
        return;
      }
    }
    if (this.#frames.length > MAX_DEPTH) this.#moveUp(frame.fd, name);
    else this.#enter(frame.fd, name);
  }

  #enter(parent: number, name: Uint8Array): void {
    const fd = openName(parent, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    // Another sweeper may have been faster.
    if (fd === -errnos.ENOENT) return;
    must(fd, 'openat', name);
    must(statOpen(fd), 'statx', name);
    if (found.mountRoot) {
      closeFd(fd);
      throw this.#mounted(name);
    }
    this.#frames.push({ fd, name, content: listNames(fd), next: 0 });
  }

  #leave(frame: Frame): void {
    this.#frames.pop();
    closeFd(frame.fd);
    const parent = this.#frames.at(-1);
    if (parent === undefined) return;
    this.#expect(removeDirectoryName(parent.fd, frame.name), frame.name);
  }

  #moveUp(parent: number, name: Uint8Array): void {
    const free = `.tslayer-moved-${process.pid}-${Date.now()}-${this.#moved++}`;
    renameAt(parent, name.subarray(0, -1), this.#root, free);
  }

  #expect(answer: number, name: Uint8Array): void {
    if (answer === -errnos.EBUSY) throw this.#mounted(name);
    if (answer !== -errnos.ENOENT) must(answer, 'unlinkat', name);
  }

  #mounted(name: Uint8Array): TslayerError {
    const path = [...this.#frames.slice(1).map((frame) => frame.name), name].map(shown).join('/');
    return new TslayerError('IN_USE', `something is mounted at ${this.#directory}/${path}`);
  }
}

const DOT = Buffer.from('.\0');

function must(answer: number, call: string, name: Uint8Array): number {
  if (answer >= 0) return answer;
  throw new SystemCallError(call, -answer, JSON.stringify(shown(name)));
}

/** Without the NUL. */
const shown = (name: Uint8Array): string => Buffer.from(name.subarray(0, -1)).toString();

/** Another sweeper may have been faster. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}
