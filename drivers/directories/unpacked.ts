/** A layer that is unpacked to a directory of its own, without a look at those below it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ExtractOptions, extractionPlan } from '../../src/archive/extract/plan.ts';
import type { LayerApplication, LayerId } from '../driver.ts';
import type { Directories } from './directories.ts';
import { noteImplied } from './implied.ts';
import { dressRoot } from './root.ts';

export interface UnpackedLayer {
  /** Where a layer keeps its files. */
  readonly part: string;
  readonly durable: boolean;
  readonly how: { readonly spelling: 'overlay'; readonly userxattr: boolean } | { readonly spelling: 'aufs' };
}

/** Errors as of Directories.begin. */
export function beginUnpacking(directories: Directories, id: LayerId, layer: UnpackedLayer): LayerApplication {
  const { part, durable, how } = layer;
  const draft = directories.begin(id);
  const dir = join(draft.path, part);
  mkdirSync(dir);
  dressRoot(dir, undefined);
  const options: ExtractOptions = { ...how, dir, durable };
  return {
    sink: extractionPlan(options),
    commit: async (result) => {
      noteImplied(draft.path, result, durable);
      draft.publish(durable);
    },
    abort: () => draft.discard(),
  };
}
