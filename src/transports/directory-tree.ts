/** A directory's files, opened so that neither a link out of it nor a FIFO in it can fool the reader. */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { asTslayerError, TslayerError } from '../errors.ts';
import { type FileTree, leavesArchive } from './file-tree.ts';
import { readFrom } from './read-from.ts';

export async function openDirectoryTree(path: string, label: string): Promise<FileTree> {
  const info = await stat(path).catch((cause: unknown) => {
    throw asTslayerError(cause, `cannot open ${label}`);
  });
  if (!info.isDirectory()) throw new TslayerError('INVALID_ARGUMENT', `${label} is not a directory`);
  return new DirectoryTree(await realpath(path), label);
}

class DirectoryTree implements FileTree {
  readonly label: string;
  readonly #root: string;

  constructor(root: string, label: string) {
    this.#root = root;
    this.label = label;
  }

  async size(name: string): Promise<number | undefined> {
    await using file = await this.#open(name);
    return file === undefined ? undefined : (await file.stat()).size;
  }

  async *open(name: string, offset = 0): AsyncGenerator<Uint8Array, void> {
    await using file = await this.#open(name);
    if (!file) throw new TslayerError('NOT_FOUND', `${this.label} has no ${name}`);
    yield* readFrom(file, offset, Number.POSITIVE_INFINITY);
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    // Links inside are welcome (shared blob directories are made of them); those that lead out are not.
    const real = await realpath(join(this.#root, name)).catch(ignoreMissing);
    if (real === undefined) return undefined;
    if (!real.startsWith(this.#root === sep ? sep : this.#root + sep)) throw leavesArchive(this.label, name);
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
