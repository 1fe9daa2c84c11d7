/**
 * The driver's directory:
 *
 *     ID.erofs         a layer, complete: it gets this name when it is verified
 *     ID.root.erofs    the same, of a layer whose root is opaque: nothing below it is mounted
 *     ID/diff, work    a writable snapshot (drivers/directories)
 *     .underway/       snapshots being made or removed; and layers being written, as ID.partial: whoever writes one
 *                      holds its flock
 *     .stacks/         files made of whole stacks (stack-files.ts)
 *     .empty/          a directory with nothing in it, for stacks of fewer layers than overlayfs wants
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { unlinkAside } from '../../src/sys/unlink.ts';
import { isId, requireId, UNDERWAY } from '../directories/names.ts';
import type { LayerId } from '../driver.ts';
import { StackFiles, sweepPartial } from './stack-files.ts';

const LAYER = '.erofs';
const ROOT_LAYER = '.root.erofs';
const PARTIAL = '.partial';

export interface LayerFile {
  readonly path: string;
  /** It hides all layers below. */
  readonly opaqueRoot: boolean;
}

export class LayerFiles {
  readonly directory: string;
  readonly stacks: StackFiles;

  constructor(directory: string) {
    this.directory = directory;
    this.stacks = new StackFiles(directory);
  }

  get empty(): string {
    return join(this.directory, '.empty');
  }

  path(id: LayerId, opaqueRoot: boolean): string {
    return join(this.directory, requireId(id) + (opaqueRoot ? ROOT_LAYER : LAYER));
  }

  partial(id: LayerId): string {
    return join(this.directory, UNDERWAY, requireId(id) + PARTIAL);
  }

  /** The file of a layer that is there. */
  find(id: LayerId): LayerFile | undefined {
    for (const opaqueRoot of [false, true]) {
      const path = this.path(id, opaqueRoot);
      if (existsSync(path)) return { path, opaqueRoot };
    }
    return undefined;
  }

  /** @throws TslayerError NOT_FOUND */
  require(id: LayerId): LayerFile {
    const file = this.find(id);
    if (file === undefined) throw new TslayerError('NOT_FOUND', `no layer ${id} in ${this.directory}`);
    return file;
  }

  /** One unlink: that is all there is to removing a layer. */
  async remove(id: LayerId): Promise<void> {
    const file = this.find(id);
    if (file !== undefined) await unlinkAside(file.path);
    sweepPartial(this.partial(id));
  }

  /** Removes what a process that died was writing, if that is what has this name in `.underway`. */
  sweep(name: string): void {
    const id = idOf(name, PARTIAL);
    if (id !== undefined) sweepPartial(this.partial(id));
  }
}

/** Whose file it is, by its name. */
export function layerIdOf(name: string): LayerId | undefined {
  return idOf(name, ROOT_LAYER) ?? idOf(name, LAYER);
}

function idOf(name: string, suffix: string): LayerId | undefined {
  if (!name.endsWith(suffix)) return undefined;
  const id = name.slice(0, -suffix.length);
  return isId(id) ? id : undefined;
}
