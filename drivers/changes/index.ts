/** What a snapshot has over its parent: the base of `diff` and `commit`, the same on every driver. */
import { statFd } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { openDirectory, PLAIN_ROOT } from '../directories/root.ts';
import type { Change } from '../driver.ts';
import { valuesInSlices } from '../tree/slices.ts';
import { Comparison, type Origin, type Step } from './compare.ts';
import { entryOf, type Located, sameMetadata, xattrsOf } from './metadata.ts';
import type { Spelling } from './spelling.ts';

export interface ChangesOptions {
  /** The directory that was written to. */
  readonly tree: string;
  readonly spelling: Spelling;
  /** Open root directory of the parent as it is seen; undefined for a snapshot of nothing. */
  readonly parent: number | undefined;
  /** The directory that the snapshot's root was dressed after, where it is not `parent`; undefined: a plain root. */
  readonly parentRoot?: string | undefined;
  readonly origin?: Origin | undefined;
}

/** Each change's file must be read before the next change is asked for. */
export async function* changesOf(options: ChangesOptions): AsyncGenerator<Change, void> {
  const treeFd = openDirectory(options.tree);
  const rootFd = options.parentRoot === undefined ? undefined : openDirectory(options.parentRoot);
  try {
    const { spelling, parent: parentFd, origin } = options;
    const comparison = new Comparison({ treeFd, spelling, parentFd, origin });
    for await (const step of valuesInSlices(steps(treeFd, rootFd, comparison))) if (step) yield step;
  } finally {
    closeFd(treeFd);
    if (rootFd !== undefined) closeFd(rootFd);
  }
}

function* steps(treeFd: number, rootFd: number | undefined, comparison: Comparison): Generator<Step, void> {
  const root = locate(treeFd);
  const before = rootFd === undefined ? undefined : locate(rootFd);
  if (before === undefined ? !isPlain(root) : !sameMetadata(root, before)) {
    yield { kind: 'modified', entry: entryOf(root, 'directory', Buffer.alloc(0)) };
  }
  yield* comparison.content();
}

function locate(fd: number): Located {
  return { parentFd: -1, name: Buffer.alloc(0), fd, stat: statFd(fd) };
}

function isPlain(root: Located): boolean {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = root.stat;
  const now = { mode, uid, gid, mtimeSeconds, mtimeNanoseconds };
  return (
    (Object.keys(PLAIN_ROOT) as (keyof typeof now)[]).every((key) => now[key] === PLAIN_ROOT[key]) &&
    xattrsOf(root).length === 0
  );
}
