/** How a directory that was made of a stack differs from what would be made now. */
import { closeFd } from '../../src/sys/libc.ts';
import { changesOf } from '../changes/index.ts';
import { wholeTree } from '../changes/spelling.ts';
import type { Change } from '../driver.ts';
import { openDirectory } from './root.ts';

/** @param ignored names in the directories that are not compared; nor are the directories themselves */
export async function differenceOf(
  path: string,
  right: string,
  ignored: readonly string[],
): Promise<string | undefined> {
  const parent = openDirectory(right);
  try {
    for await (const change of changesOf({ tree: path, spelling: wholeTree, parent, parentRoot: right })) {
      const name = pathOf(change).toString();
      if (name !== '' && !ignored.includes(name))
        return `${name} ${change.kind === 'deleted' ? 'is gone' : 'is not as it was made'}`;
    }
    return undefined;
  } finally {
    closeFd(parent);
  }
}

function pathOf(change: Change): Uint8Array {
  return 'path' in change ? change.path : change.entry.path;
}
