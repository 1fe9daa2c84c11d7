/** Gives up what the launcher may do: capabilities(7), credentials(7). The order is what makes it hold. */
import { constants } from 'node:os';
import { getCapabilities, limitBoundingSet, setAmbientCapabilities, setCapabilities } from '../../sys/capabilities.ts';
import { setIds, setKeepCapabilities, setNoNewPrivileges, setParentDeathSignal } from '../../sys/process.ts';
import { capabilityMask } from '../capabilities.ts';
import type { ProcessSpec } from '../spec.ts';
import { warn } from './channel.ts';
import type { ResolvedUser } from './user.ts';

export function assumeIdentity(process: ProcessSpec, user: ResolvedUser): void {
  const had = getCapabilities().permitted;
  const bounding = capabilityMask(process.capabilities);
  const added = capabilityMask(process.addedCapabilities);
  if (added & ~had) warn('not all of the added capabilities can be given: the launcher does not hold them itself');
  limitBoundingSet(bounding);
  setAmbientCapabilities(0n);
  // A user other than root holds nothing, but what was asked for by name.
  const held = (user.uid === 0 ? bounding : added) & had;
  setKeepCapabilities(true);
  setIds(user.uid, user.gid, user.groups);
  const inheritable = user.uid === 0 ? 0n : held;
  setCapabilities({ effective: held, permitted: held, inheritable });
  setAmbientCapabilities(inheritable);
  // A change of ids cleared it.
  setParentDeathSignal(constants.signals.SIGKILL);
  if (process.noNewPrivileges) setNoNewPrivileges();
}
