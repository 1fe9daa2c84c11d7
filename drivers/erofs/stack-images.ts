/**
 * The images that are made of whole stacks, for the store's housekeeping. Each tells the layers that it is made of, so that
 * it goes with any of them, and can be told from those that nobody needs.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isTslayerError } from '../../src/errors.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import type { LayerId, StackCache, StackCaches } from '../driver.ts';
import { type LayerFiles, layerIdOf } from './files.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { looksPath } from './implicit/attributes.ts';
import { partsOf } from './merged/cache.ts';
import { noteOf } from './read/note-of.ts';
import { STACKS, type StackFileKind } from './stack-files.ts';
import { verifyMetadata } from './tar-of-layer.ts';

export class StackImages implements StackCaches {
  readonly #files: LayerFiles;
  /** By path, for those who remove: a layer after the other, where an image has many. */
  readonly #known: Map<string, readonly string[]> = new Map();

  constructor(files: LayerFiles) {
    this.#files = files;
  }

  async *list(): AsyncGenerator<StackCache, void> {
    for (const { path, layers } of this.#all()) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat) yield { name: join(STACKS, basename(path)), stack: idsOf(layers), bytes: stat.blocks * 512 };
    }
  }

  async verify(name: string): Promise<string | undefined> {
    return verifyMetadata(this.#path(name));
  }

  async remove(name: string): Promise<void> {
    rmSync(this.#path(name), { force: true });
  }

  /** Removes the images that a layer is part of, and those that do not tell. */
  removeWith(layer: LayerId): void {
    for (const { path, tell } of this.#paths()) {
      const layers = this.#known.get(path) ?? tell(path);
      if (layers === undefined || idsOf(layers).includes(layer)) rmSync(path, { force: true });
      else this.#known.set(path, layers);
    }
  }

  *#all(): Generator<{ readonly path: string; readonly layers: readonly string[] | undefined }, void> {
    for (const { path, tell } of this.#paths()) yield { path, layers: tell(path) };
  }

  *#paths(): Generator<{ readonly path: string; readonly tell: (path: string) => string[] | undefined }, void> {
    const tellers: Readonly<Record<StackFileKind, (path: string) => string[] | undefined>> = {
      looks: (path) => layersOf(this.#files, path),
      merged: partsOf,
    };
    for (const [kind, tell] of Object.entries(tellers)) {
      for (const path of this.#files.stacks.list(kind as StackFileKind)) yield { path, tell };
    }
  }

  #path(name: string): string {
    return join(this.#files.stacks.directory, basename(name));
  }
}

/** Names of the layers' files that looks are made of, top first; undefined where they do not tell, or not those. */
function layersOf(files: LayerFiles, path: string): string[] | undefined {
  try {
    const { tarLength } = noteOf(path);
    if (tarLength === 0) return undefined;
    const layers = readFileSync(path, 'latin1')
      .slice(HEAD_SIZE, HEAD_SIZE + tarLength)
      .split('\n');
    // No digest covers them, but what the file is called does.
    return [true, false].some((root) => looksPath(files, layers, root) === path) ? layers : undefined;
  } catch (error) {
    if (isTslayerError(error) || hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function idsOf(layers: readonly string[] | undefined): LayerId[] {
  return (layers ?? []).map((name) => layerIdOf(name) ?? name);
}
