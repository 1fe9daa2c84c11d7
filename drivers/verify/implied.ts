/** The note of directories that a layer only implies: whether it names those, and no other. */
import { readImplied } from '../directories/implied.ts';
import type { ExpectedNode } from '../driver.ts';

/** @param layer the layer's directory */
export function verifyImplied(layer: string, expected: ExpectedNode): string | undefined {
  const noted = readImplied(layer);
  for (const [path, isImplied] of directoriesOf(expected, '')) {
    if (noted.has(path) !== isImplied) return 'its note of implied directories is damaged';
  }
  return undefined;
}

/** What was noted and replaced later is no directory, and does no harm. */
function* directoriesOf({ info, children }: ExpectedNode, path: string): Generator<[string, boolean], void> {
  if (children === undefined) return;
  yield [path, info === undefined];
  for (const [name, node] of children) yield* directoriesOf(node, path === '' ? name : `${path}/${name}`);
}
