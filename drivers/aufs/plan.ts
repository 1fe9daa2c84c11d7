/**
 * The mounts of an AUFS union, within what its kernel module survives:
 * - 127 branches in all (the 128th gives ENOSPC).
 * - 60 branches in one call: above 84 options a call gives E2BIG, and a `br:` list of 85 panics the kernel.
 * - 4095 bytes of data in one call: the kernel cuts the rest silently, and a layer vanishes from the mount.
 * What does not fit comes by remounts with `append:`, which the kernel applies whole or not at all.
 */
import { TslayerError } from '../../src/errors.ts';
import type { Mount } from '../../src/mounts/mount.ts';

export const MAX_BRANCHES = 127;
const BRANCHES_A_CALL = 60;
const MAX_DATA = 4095;

export interface AufsPlan {
  /** The writable branch; undefined for a read-only union. */
  readonly writable: string | undefined;
  /** Read-only branches, top first. */
  readonly layers: readonly string[];
  /** Where the table of inode numbers lies while the union is mounted. Not on overlayfs. */
  readonly xino: string;
  /** ACLs are shown and count; without the option they are there on disk, and AUFS goes by the mode alone. */
  readonly acl: boolean;
  /** Lower permissions of a directory do not deny what the topmost ones allow. */
  readonly dirperm1: boolean;
  /** Attributes that the writable branch cannot hold are no error (tmpfs has no `user.` ones before 6.6). */
  readonly ignoreXattrErrors: boolean;
  /** Mounts are made one at a time. */
  readonly lock: string;
}

/**
 * @throws TslayerError UNSUPPORTED for too many branches, INVALID_ARGUMENT for a path that cannot be a branch:
 *   AUFS splits at `:`, `,` and `=`, and knows no escape.
 */
export function aufsMounts(plan: AufsPlan): Mount[] {
  const branches = [
    ...(plan.writable === undefined ? [] : [`${plan.writable}=rw${plan.ignoreXattrErrors ? '+icex' : ''}`]),
    ...plan.layers.map((path) => `${path}=ro+wh`),
  ];
  checkBranches(branches, [plan.writable ?? '', ...plan.layers, plan.xino]);
  const optional = [...(plan.acl ? ['acl'] : []), ...(plan.dirperm1 ? ['dirperm1'] : [])];
  const settings = ['dio', `xino=${plan.xino}`, ...optional];
  const room = MAX_DATA - Buffer.byteLength(['br:', ...settings].join(','));
  const first = takeFitting(branches, room, (branch) => branch);
  const access = plan.writable === undefined ? ['ro'] : [];
  const mounts: Mount[] = [
    { type: 'aufs', source: 'none', options: [...access, `br:${first.join(':')}`, ...settings], lock: plan.lock },
  ];
  for (let rest = branches.slice(first.length); rest.length > 0; ) {
    const next = takeFitting(rest, MAX_DATA, append);
    mounts.push({
      type: 'aufs',
      source: 'none',
      options: [...access, 'remount', ...next.map(append)],
      lock: plan.lock,
    });
    rest = rest.slice(next.length);
  }
  return mounts;
}

const append = (branch: string): string => `append:${branch}`;

/** As many as one call takes; one separator each. */
function takeFitting(branches: readonly string[], room: number, spell: (branch: string) => string): string[] {
  const taken: string[] = [];
  let length = 0;
  for (const branch of branches) {
    length += Buffer.byteLength(spell(branch)) + 1;
    if (taken.length === BRANCHES_A_CALL || length > room) break;
    taken.push(branch);
  }
  if (taken.length > 0) return taken;
  throw new TslayerError('UNSUPPORTED', `the path ${branches[0]} is too long for one mount call`);
}

function checkBranches(branches: readonly string[], paths: readonly string[]): void {
  if (branches.length > MAX_BRANCHES) {
    const writable = paths[0] === '' ? 0 : 1;
    const what = `${branches.length - writable} layers: AUFS mounts at most ${MAX_BRANCHES - writable}`;
    throw new TslayerError('UNSUPPORTED', writable ? `${what} below a snapshot` : what, {
      hint: 'unpack this image with --driver overlayfs or --driver vfs',
    });
  }
  const bad = paths.find((path) => !canBeBranch(path));
  if (bad !== undefined) {
    throw new TslayerError('INVALID_ARGUMENT', `AUFS cannot mount ${JSON.stringify(bad)}: it holds one of : , =`);
  }
}

export function canBeBranch(path: string): boolean {
  return !/[:,=]/.test(path);
}
