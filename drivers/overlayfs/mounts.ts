/**
 * The overlay over a stack of layer directories. Besides the options that all overlays have:
 * - `volatile`, for snapshots that do not outlive their container: syncing is skipped.
 * - `userxattr` inside a user namespace, where `trusted.` attributes cannot be set.
 */
import { existsSync } from 'node:fs';
import { TslayerError } from '../../src/errors.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { overlayMarks } from '../changes/overlay.ts';
import type { Directories } from '../directories/directories.ts';
import { type LooksContext, withLooks } from '../directories/looks.ts';
import type { LayerId, MountRequest, Stack } from '../driver.ts';
import { FEATURE_OPTIONS, knowsVolatile, MAX_LOWER } from '../overlay/options.ts';

/** Where a layer's files, or what was written to a snapshot, lie. */
export const DIFF = 'diff';
export const WORK = 'work';
/** For what overlayfs insists on: a lower directory, or a second one. */
export const EMPTY = '.empty';

export interface OverlayContext {
  readonly directories: Directories;
  readonly userxattr: boolean;
}

/** @throws TslayerError UNSUPPORTED for more layers than overlayfs takes. */
export function mountsOf(
  context: OverlayContext,
  id: LayerId | undefined,
  stack: Stack,
  request: MountRequest,
): Mount[] {
  const { directories } = context;
  const writable = id !== undefined && !request.readOnly;
  if (writable) requireNotSpoilt(directories, id);
  const below = visible(context, stack);
  const above = id === undefined || writable ? [] : [id];
  requireFew(above.length + below.length);
  const room = above.length + below.length < MAX_LOWER;
  const layers = [...above, ...withLooks(looksContext(context), below, { withRoot: id === undefined, room })];
  const idmap = request.userNamespaceFd;
  const base = idmap === undefined ? directories.path : 'stage:layers';
  const lowers = layers.map((layer) => `${base}/${layer}/${DIFF}`);
  for (let missing = (writable ? 1 : 2) - lowers.length; missing > 0; missing--) lowers.push(emptyOf(base, missing));
  const upper = writable ? [`upperdir=${base}/${id}/${DIFF}`, `workdir=${base}/${id}/${WORK}`] : ['ro'];
  const overlay: Mount = {
    type: 'overlay',
    source: 'overlay',
    options: [
      ...lowers.map((lower) => `lowerdir+=${lower}`),
      ...upper,
      ...FEATURE_OPTIONS,
      ...(context.userxattr ? ['userxattr'] : []),
      ...(writable && request.ephemeral && knowsVolatile() ? ['volatile'] : []),
    ],
  };
  if (idmap === undefined) return [overlay];
  // One idmapped copy of the whole directory: upper and work directory must lie on one mount.
  const options = [`idmap=/proc/self/fd/${idmap}`];
  return [{ type: 'bind', source: directories.path, options, stage: 'layers' }, overlay];
}

/** The kernel leaves this behind when a volatile overlay is mounted, and refuses the directories from then on. */
function requireNotSpoilt(directories: Directories, id: LayerId): void {
  if (!existsSync(directories.of(id, WORK, 'work/incompat/volatile'))) return;
  throw new TslayerError('FAILED', `snapshot ${id} was mounted as an ephemeral one: what it holds may be incomplete`, {
    hint: 'remove it, and make another of the same image',
  });
}

/** Two of them are two directories: overlayfs refuses the same one twice. */
function emptyOf(base: string, which: number): string {
  return `${base}/${EMPTY}/${which}`;
}

export function emptyDirectories(directories: Directories): string[] {
  return [1, 2].map((which) => emptyOf(directories.path, which));
}

/** Down to the first layer whose root is opaque: overlayfs does not look for the mark there. */
function visible({ directories, userxattr }: OverlayContext, stack: Stack): Stack {
  const { isOpaque } = overlayMarks(userxattr);
  const last = stack.findIndex((layer) => isOpaque(Buffer.from(directories.of(layer, DIFF))));
  return last === -1 ? stack : stack.slice(0, last + 1);
}

export function looksContext({ directories, userxattr }: OverlayContext): LooksContext {
  return { directories, part: DIFF, marks: overlayMarks(userxattr) };
}

function requireFew(count: number): void {
  if (count <= MAX_LOWER) return;
  throw new TslayerError('UNSUPPORTED', `${count} layers: overlayfs mounts at most ${MAX_LOWER} lower directories`, {
    hint: 'unpack this image with --driver vfs, which has no such limit',
  });
}
