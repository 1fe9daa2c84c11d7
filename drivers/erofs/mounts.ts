/**
 * The mounts of a stack: each layer's image on a stage of its own, an overlay over them. Two stacks with a layer in
 * common share its mount. A view is an overlay too, if of one layer: a bare EROFS would show its whiteouts.
 */
import type { Mount } from '../../src/mounts/mount.ts';
import type { LayerId, MountRequest, Stack } from '../driver.ts';
import type { Files, LayerFile } from './files.ts';

export interface StackMounts {
  readonly files: Files;
  readonly directio: boolean;
  /** Options of every overlay with an upper directory. */
  readonly upperOptions: readonly string[];
}

/** The layers that show, from the top down: what lies below an opaque root does not. */
function visibleLayers(files: Files, stack: Stack): { readonly id: LayerId; readonly file: LayerFile }[] {
  const visible: { id: LayerId; file: LayerFile }[] = [];
  for (const id of stack) {
    const file = files.requireLayer(id);
    visible.push({ id, file });
    if (file.opaqueRoot) break;
  }
  return visible;
}

export function mountsOf(context: StackMounts, id: LayerId | undefined, stack: Stack, request: MountRequest): Mount[] {
  const { files, directio } = context;
  const shift = idmapOf(request);
  const layers = visibleLayers(files, stack);
  const stages = layers.map(
    ({ id: layer, file }): Mount => ({
      type: 'erofs',
      source: file.path,
      options: ['ro', 'nodev', 'nosuid', ...(directio ? ['directio'] : []), ...shift],
      stage: layer,
    }),
  );
  const lowers = layers.map(({ id: layer }) => `lowerdir+=stage:${layer}`);
  return [...stages, ...overlay(context, id, lowers, request)];
}

function overlay(
  { files, upperOptions }: StackMounts,
  id: LayerId | undefined,
  lowers: readonly string[],
  request: MountRequest,
): Mount[] {
  const nothing = `lowerdir+=${files.empty}`;
  if (id === undefined || request.readOnly) {
    const all = [...(id === undefined ? [] : [`lowerdir+=${files.upper(id)}`]), ...lowers];
    if (all.length === 0) return [{ type: 'bind', source: files.empty, options: ['ro'] }];
    // Without an upper directory overlayfs wants two below.
    const enough = all.length > 1 ? all : [...all, nothing];
    return [{ type: 'overlay', source: 'overlay', options: ['ro', ...enough] }];
  }
  const below = lowers.length > 0 ? lowers : [nothing];
  const shift = idmapOf(request);
  if (shift.length === 0) {
    const upper = [`upperdir=${files.upper(id)}`, `workdir=${files.work(id)}`];
    return [{ type: 'overlay', source: 'overlay', options: [...below, ...upper, ...upperOptions] }];
  }
  const stage = `${id}-upper`;
  const upper = [`upperdir=stage:${stage}/upper`, `workdir=stage:${stage}/work`];
  return [
    { type: 'bind', source: files.snapshot(id), options: shift, stage },
    { type: 'overlay', source: 'overlay', options: [...below, ...upper, ...upperOptions] },
  ];
}

function idmapOf({ userNamespaceFd }: MountRequest): string[] {
  return userNamespaceFd === undefined ? [] : [`idmap=/proc/self/fd/${userNamespaceFd}`];
}
