/**
 * The driver's directory:
 *
 *     ID.erofs        a layer, complete: it gets this name when it is verified
 *     ID.root.erofs   the same, of a layer whose root is opaque: nothing below it is mounted
 *     ID.partial      a layer being written; whoever writes it holds its flock
 *     ID/upper, work  a writable snapshot
 *     .empty/         a directory with nothing in it, for stacks of fewer layers than overlayfs wants
 *     .trash-*        a snapshot on its way out
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import type { LayerId } from '../driver.ts';

const LAYER = '.erofs';
const ROOT_LAYER = '.root.erofs';
const PARTIAL = '.partial';
const TRASH = '.trash-';

export interface LayerFile {
  readonly path: string;
  /** It hides all layers below. */
  readonly opaqueRoot: boolean;
}

export class Files {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  get empty(): string {
    return join(this.directory, '.empty');
  }

  layer(id: LayerId, opaqueRoot: boolean): string {
    return join(this.directory, checked(id) + (opaqueRoot ? ROOT_LAYER : LAYER));
  }

  partial(id: LayerId): string {
    return join(this.directory, checked(id) + PARTIAL);
  }

  snapshot(id: LayerId): string {
    return join(this.directory, checked(id));
  }

  upper(id: LayerId): string {
    return join(this.snapshot(id), 'upper');
  }

  work(id: LayerId): string {
    return join(this.snapshot(id), 'work');
  }

  /** Where a snapshot's directory goes to be removed. */
  trash(id: LayerId): string {
    return join(this.directory, TRASH + checked(id));
  }

  /** The file of a layer that is there. */
  findLayer(id: LayerId): LayerFile | undefined {
    for (const opaqueRoot of [false, true]) {
      const path = this.layer(id, opaqueRoot);
      if (existsSync(path)) return { path, opaqueRoot };
    }
    return undefined;
  }

  requireLayer(id: LayerId): LayerFile {
    const file = this.findLayer(id);
    if (file === undefined) throw new TslayerError('NOT_FOUND', `erofs: no layer ${id}`);
    return file;
  }
}

export function isTrash(name: string): boolean {
  return name.startsWith(TRASH);
}

/** Ids become file names and stage names: nothing else may. */
function checked(id: LayerId): string {
  if (!/^[0-9a-z]{1,16}$/.test(id)) throw new TslayerError('INVALID_ARGUMENT', `bad layer id ${JSON.stringify(id)}`);
  return id;
}

/** What a name in the directory belongs to: the id of a layer or snapshot, a partial layer, or nothing of ours. */
export function idOfName(name: string): { readonly id: LayerId; readonly partial: boolean } | undefined {
  const match = /^([0-9a-z]{1,16})(\.erofs|\.root\.erofs|\.partial)?$/.exec(name);
  return match ? { id: match[1]!, partial: match[2] === PARTIAL } : undefined;
}
