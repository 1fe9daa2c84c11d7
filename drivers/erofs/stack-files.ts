/**
 * Files that are made of whole stacks and can be made again, in a directory of their own:
 *
 *     .stacks/HASH.looks       attributes for the directories that the stack's layers imply (implicit/)
 *     .stacks/HASH.merged      all metadata of the stack in one image (merged/)
 *     .stacks/NAME.PID.partial one of them being written; whoever writes it holds its flock
 *
 * HASH stands for the layers and what else the file depends on. A file is on the disk before it gets its name, so that
 * what a power loss leaves under one is whole.
 */
import { existsSync, fdatasyncSync, ftruncateSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { hashOf } from '../../src/sys/hash.ts';
import { tryLock } from '../../src/sys/locks.ts';
import { namesIn } from '../../src/sys/names-in.ts';

export const STACKS = '.stacks';
const PARTIAL = '.partial';

export type StackFileKind = 'looks' | 'merged';

export class StackFiles {
  readonly directory: string;

  /** @param parent the driver's directory */
  constructor(parent: string) {
    this.directory = join(parent, STACKS);
  }

  /** @param key what the file is made of, as JSON */
  path(kind: StackFileKind, key: unknown): string {
    const hash = hashOf('sha256', Buffer.from(JSON.stringify(key))).slice(0, 32);
    return join(this.directory, `${hash}.${kind}`);
  }

  /** Paths of the files of a kind that are there. */
  list(kind: StackFileKind): string[] {
    return namesIn(this.directory)
      .filter((name) => name.endsWith(`.${kind}`))
      .map((name) => join(this.directory, name));
  }

  /** Makes the file at `path` by what `write` puts into a new, empty one. */
  publish(path: string, write: (temporary: string) => void): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}${PARTIAL}`;
    using lock = tryLock(temporary);
    if (lock === undefined) throw new TslayerError('IN_USE', `${temporary} is being written`);
    try {
      ftruncateSync(lock.fd);
      write(temporary);
      fdatasyncSync(lock.fd);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** Removes what processes that died were writing. */
  sweep(): void {
    for (const name of namesIn(this.directory)) if (name.endsWith(PARTIAL)) sweepPartial(join(this.directory, name));
  }
}

/** Removes a partial file, unless somebody is writing it. */
export function sweepPartial(path: string): void {
  if (!existsSync(path)) return;
  using lock = tryLock(path);
  if (lock !== undefined) rmSync(path, { force: true });
}
