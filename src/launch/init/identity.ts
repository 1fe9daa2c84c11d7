/** Gives up what the launcher may do: capabilities(7), credentials(7). The order is what makes it hold. */
import { constants } from 'node:os';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { capabilityMask } from '../capabilities.ts';
import type { ProcessSpec } from '../spec.ts';
import type { ResolvedUser } from './user.ts';

export function assumeIdentity(
  init: RemoteProcess,
  spec: ProcessSpec,
  user: ResolvedUser,
  warn: (message: string) => void,
): void {
  const had = init.permittedCapabilities();
  const bounding = capabilityMask(spec.capabilities);
  const added = capabilityMask(spec.addedCapabilities);
  if (added & ~had) warn('not all of the added capabilities can be given: the launcher does not hold them itself');
  init.limitBoundingSet(bounding);
  init.setAmbientCapabilities(0n);
  // A user other than root holds nothing, but what was asked for by name.
  const held = (user.uid === 0 ? bounding : added) & had;
  init.setKeepCapabilities(true);
  // Where there is a user namespace, EINVAL is what those get that it has no ids for.
  init.during(`cannot become ${user.uid}:${user.gid}, ids that the container may not have (--userns)`, () =>
    init.setIds(user.uid, user.gid, user.groups),
  );
  const inheritable = user.uid === 0 ? 0n : held;
  init.setCapabilities({ effective: held, permitted: held, inheritable });
  init.setAmbientCapabilities(inheritable);
  // A change of ids cleared it.
  init.setParentDeathSignal(constants.signals.SIGKILL);
  if (spec.noNewPrivileges) init.setNoNewPrivileges();
}
