/** A snapshot's root directory looks like that of the topmost layer that says anything of its root. */
import { openMounts } from '../../src/mounts/open.ts';
import { dressRoot } from '../directories/root.ts';
import type { Stack } from '../driver.ts';
import type { LayerFile } from './files.ts';
import { imageMount, type MountContext, visibleLayers } from './mounts.ts';
import { noteOf } from './read/note-of.ts';

export interface RootModel extends Disposable {
  /** Path of the root directory to look like; undefined where no layer speaks of its root. */
  readonly path: string | undefined;
}

/** Mounted, for as long as it is not disposed, where nobody sees it. */
export function openRoot(context: MountContext, stack: Stack): RootModel {
  const file = explicitRoot(context, stack);
  if (file === undefined) return { path: undefined, [Symbol.dispose]: () => undefined };
  const mounted = openMounts([imageMount(context, file)]);
  return { path: `/proc/self/fd/${mounted.fd}/.`, [Symbol.dispose]: () => mounted[Symbol.dispose]() };
}

/** overlayfs shows the upper directory's own attributes at the root, so they must be those of the layers. */
export function copyRoot(context: MountContext, stack: Stack, upper: string): void {
  using model = openRoot(context, stack);
  dressRoot(upper, model.path);
}

function explicitRoot({ layers }: MountContext, stack: Stack): LayerFile | undefined {
  return visibleLayers(layers, stack).find(({ file }) => !noteOf(file.path).implicitRoot)?.file;
}
