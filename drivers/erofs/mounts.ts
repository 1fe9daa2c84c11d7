/**
 * The mounts of a stack: each layer's image on a stage of its own, an overlay over them. Two stacks with a layer in
 * common share its mount. A view is an overlay too, be it of one layer: a bare EROFS would show its whiteouts.
 *
 * Or, where the configuration says so, one merged image with the layers as its devices, on one stage: an overlay over
 * it to write in, and nothing more for a view.
 */
import { basename } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import type { Directories } from '../directories/directories.ts';
import type { LayerId, MountRequest, Stack } from '../driver.ts';
import { FEATURE_OPTIONS, MAX_LOWER } from '../overlay/options.ts';
import type { LayerFile, LayerFiles } from './files.ts';
import { looksImage } from './implicit/attributes.ts';
import { mergedImage } from './merged/cache.ts';

/** Parts of a snapshot's directory. */
export const UPPER = 'diff';
export const WORK = 'work';
/** Stage of the directory that holds the snapshots, where it is idmapped. */
const SNAPSHOTS = 'snapshots';

export interface MountContext {
  readonly layers: LayerFiles;
  readonly snapshots: Directories;
  /** Whether a stack is shown as one merged image. */
  readonly merged: boolean;
  /** Whether an image is to be mounted with `directio`. */
  directio(image: string): boolean;
}

interface Layer {
  readonly id: LayerId;
  readonly file: LayerFile;
}

/** A mount that only others of the list use. */
interface Stage extends Mount {
  readonly stage: string;
}

/** The layers that show, from the top down: overlayfs does not look for an opaque mark on roots, so we stop there. */
export function visibleLayers(layers: LayerFiles, stack: Stack): Layer[] {
  const visible: Layer[] = [];
  for (const id of stack) {
    const file = layers.require(id);
    visible.push({ id, file });
    if (file.opaqueRoot) break;
  }
  return visible;
}

function requireFew(layers: readonly Layer[]): void {
  if (layers.length <= MAX_LOWER) return;
  throw new TslayerError('UNSUPPORTED', `${layers.length} layers: overlayfs mounts at most ${MAX_LOWER}`, {
    hint: 'set merged = true under [erofs] in config.toml: one merged image takes more',
  });
}

/** One layer's image. Nobody sees this mount but the overlay, which has flags of its own. */
export function imageMount(context: MountContext, { path }: LayerFile, more: readonly string[] = []): Mount {
  const options = ['ro', 'nodev', 'nosuid', ...(context.directio(path) ? ['directio'] : []), ...more];
  return { type: 'erofs', source: path, options };
}

/** @throws TslayerError NOT_FOUND, UNSUPPORTED for more layers than overlayfs takes. */
export function mountsOf(
  context: MountContext,
  id: LayerId | undefined,
  stack: Stack,
  request: MountRequest,
): readonly Mount[] {
  const idmap = request.userNamespaceFd === undefined ? [] : [`idmap=/proc/self/fd/${request.userNamespaceFd}`];
  const layers = visibleLayers(context.layers, stack);
  const merged = context.merged && layers.length > 0;
  const stages = merged ? [mergedStage(context, layers, idmap)] : layerStages(context, layers, idmap, id === undefined);
  const lowers = stages.map(({ stage }) => `stage:${stage}`);
  if (merged && id === undefined) return [...stages, { type: 'bind', source: lowers[0]!, options: ['ro'] }];
  if (id !== undefined && idmap.length > 0) {
    stages.push({ type: 'bind', source: context.snapshots.path, options: idmap, stage: SNAPSHOTS });
  }
  const base = idmap.length === 0 ? context.snapshots.path : `stage:${SNAPSHOTS}`;
  const snapshot = id === undefined ? undefined : `${base}/${id}`;
  return [...stages, overlay(context, snapshot, lowers, request)];
}

/** @param root whether the root shows as the layers have it, for want of an upper directory */
function layerStages(
  context: MountContext,
  layers: readonly Layer[],
  idmap: readonly string[],
  root: boolean,
): Stage[] {
  requireFew(layers);
  const stages = layers.map(({ id: stage, file }) => ({ ...imageMount(context, file, idmap), stage }));
  const looks = looksImage(
    context.layers,
    layers.map(({ file }) => file),
    root,
  );
  if (looks !== undefined) stages.unshift({ ...imageMount(context, looks, idmap), stage: basename(looks.path) });
  return stages;
}

/** A view is this very mount: so it has no flags but its own. */
function mergedStage(context: MountContext, layers: readonly Layer[], idmap: readonly string[]): Stage {
  const files = layers.map(({ file }) => file);
  const source = mergedImage(context.layers, files);
  const directio = files.every(({ path }) => context.directio(path)) ? ['directio'] : [];
  const devices = files.map(({ path }) => `device=${path}`);
  return { type: 'erofs', source, options: ['ro', ...directio, ...devices, ...idmap], stage: basename(source) };
}

/** @param snapshot where the snapshot's directory is */
function overlay(
  { layers }: MountContext,
  snapshot: string | undefined,
  lowers: readonly string[],
  { readOnly, ephemeral }: MountRequest,
): Mount {
  const writable = snapshot !== undefined && !readOnly;
  const below = snapshot !== undefined && !writable ? [`${snapshot}/${UPPER}`, ...lowers] : [...lowers];
  if (below.length === 0 && !writable) return { type: 'bind', source: layers.empty, options: ['ro'] };
  // Overlayfs wants a lower directory, and two where there is no upper one.
  if (below.length < (writable ? 1 : 2)) below.push(layers.empty);
  const upper = writable ? [`upperdir=${snapshot}/${UPPER}`, `workdir=${snapshot}/${WORK}`] : ['ro'];
  const volatile = writable && ephemeral ? ['volatile'] : [];
  const options = [...below.map((path) => `lowerdir+=${path}`), ...upper, ...FEATURE_OPTIONS, ...volatile];
  return { type: 'overlay', source: 'overlay', options };
}
