/** The read-only branches of a union: a stack's layers, and what AUFS needs besides to show them as they are meant. */
import { aufsMarks } from '../changes/aufs.ts';
import type { Directories } from '../directories/directories.ts';
import { type LooksContext, withLooks } from '../directories/looks.ts';
import type { Stack } from '../driver.ts';
import { coversOf } from './covers.ts';
import { DIFF } from './places.ts';
import { MAX_BRANCHES } from './plan.ts';

/**
 * Names below the driver's directory, top first.
 *
 * @param withRoot no snapshot comes on top, whose root is dressed already
 */
export function layerBranches(directories: Directories, stack: Stack, withRoot: boolean): readonly string[] {
  const layers = visible(directories, stack);
  const snapshot = withRoot ? 0 : 1;
  // Too many are refused by the plan, with their number.
  if (layers.length + snapshot > MAX_BRANCHES) return layers;
  // As if there was a snapshot on top: the covers are the same with and without one.
  const covers = coversOf(directories, layers, MAX_BRANCHES - 1 - layers.length);
  const lower = layers.slice(1).flatMap((layer, at) => {
    const found = covers.get(at + 1);
    return found === undefined ? [layer] : found.instead ? [found.name] : [found.name, layer];
  });
  const room = layers.length > 0 && snapshot + 1 + lower.length < MAX_BRANCHES;
  const dressed = withLooks(looksContext(directories), layers, { withRoot, room });
  // Looks come above the topmost layer or in its place, covers below it.
  return [...dressed.slice(0, dressed.length - Math.max(0, layers.length - 1)), ...lower];
}

export function looksContext(directories: Directories): LooksContext {
  return { directories, part: DIFF, marks: aufsMarks };
}

/** Down to the first layer whose root is opaque: AUFS ignores the mark at a branch's root. */
function visible(directories: Directories, stack: Stack): Stack {
  const last = stack.findIndex((layer) => aufsMarks.isOpaque(Buffer.from(directories.of(layer, DIFF))));
  return last === -1 ? stack : stack.slice(0, last + 1);
}
