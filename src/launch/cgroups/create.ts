/** Makes a container's cgroups in each hierarchy and sets their limits, before any process is in them. */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { TslayerError } from '../../errors.ts';
import { attachDeviceProgram, loadDeviceProgram } from '../../sys/bpf.ts';
import { hasErrno } from '../../sys/libc.ts';
import type { DeviceRule, Resources } from '../spec.ts';
import { ContainerCgroups, type Place, placeOf } from './cgroups.ts';
import { deviceProgram, encodeEbpf } from './device-program.ts';
import { readCgroup, writeCgroup } from './files.ts';
import { findHierarchies, type Hierarchy, wantedHierarchies, words } from './hierarchies.ts';
import { deviceWritesV1, writesV1 } from './v1.ts';
import { writesV2 } from './v2.ts';
import type { CgroupWrite, Limits } from './writes.ts';

/**
 * All or nothing. A hierarchy that the caller may not write to is left out, as for a user without delegation.
 *
 * @param path from the root of each hierarchy, as in `/tslayer/0123456789ab`
 * @throws TslayerError UNSUPPORTED for a limit whose subsystem is not there: none is dropped silently
 */
export async function createCgroups(
  path: string,
  resources: Resources,
  hierarchies: readonly Hierarchy[] = findHierarchies(),
): Promise<ContainerCgroups> {
  const places: Place[] = [];
  try {
    makeCgroups(path, hierarchies, places);
    const { devices, ...limits } = resources;
    setLimits(places, limits);
    setDeviceRules(places, devices);
    return new ContainerCgroups(places);
  } catch (error) {
    await new ContainerCgroups(places).remove();
    throw error;
  }
}

/**
 * Cgroups without limits, for a runtime that finds its own there: their common parent stays, whoever else ends.
 * @param places takes those that were made
 */
export function makeCgroups(
  path: string,
  hierarchies: readonly Hierarchy[] = findHierarchies(),
  places: Place[] = [],
): void {
  for (const hierarchy of wantedHierarchies(hierarchies)) {
    const directory = join(hierarchy.mountpoint, path);
    if (makeCgroup(hierarchy, directory)) places.push({ hierarchy, directory });
  }
}

function makeCgroup(hierarchy: Hierarchy, directory: string): boolean {
  // The last container's end may take the common parent away between two calls.
  for (let attempt = 0; ; attempt++) {
    try {
      makeLevels(hierarchy, directory);
      return true;
    } catch (error) {
      if (hasErrno(error, 'EACCES', 'EPERM', 'EROFS')) return false;
      if (!hasErrno(error, 'ENOENT', 'ENODEV') || attempt === 10) throw error;
    }
  }
}

function makeLevels(hierarchy: Hierarchy, directory: string): void {
  let level = hierarchy.mountpoint;
  for (const name of relative(level, directory).split('/')) {
    if (hierarchy.version === 2) enableControllers(hierarchy, level);
    level = join(level, name);
    try {
      mkdirSync(level);
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error;
    }
    if (hierarchy.subsystems.includes('cpuset') && hierarchy.version === 1) inheritCpuset(level);
  }
}

/** A child of a v2 cgroup has the controllers that its parent hands on. */
function enableControllers(hierarchy: Hierarchy, parent: string): void {
  const enabled = words(readCgroup(parent, 'cgroup.subtree_control') ?? '');
  const missing = hierarchy.subsystems.filter((name) => !enabled.includes(name));
  for (const name of missing) {
    try {
      writeCgroup(parent, 'cgroup.subtree_control', `+${name}`);
    } catch (error) {
      // Processes in the parent, or not delegated: a limit that needs it says so.
      if (!hasErrno(error, 'EBUSY', 'ENOENT', 'EACCES', 'EPERM', 'EOPNOTSUPP', 'EINVAL')) throw error;
    }
  }
}

/** No process can enter a v1 cpuset that names no processors and no memory. */
function inheritCpuset(directory: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readCgroup(directory, file) !== '') continue;
    writeCgroup(directory, file, readCgroup(dirname(directory), file) ?? '');
  }
}

/** Each limit by the version that has its subsystem; the user's flag tells which writes are one limit. */
function setLimits(places: readonly Place[], limits: Limits): void {
  const byFlag = [
    { version: 1, writes: Map.groupBy(writesV1(limits), ({ what }) => what) },
    { version: 2, writes: Map.groupBy(writesV2(limits), ({ what }) => what) },
  ] as const;
  for (const flag of new Set(byFlag.flatMap(({ writes }) => [...writes.keys()]))) {
    const choices = byFlag.flatMap(({ version, writes }) => {
      const own = writes.get(flag);
      const place = own && placeOf(places, own[0]!.subsystem, version);
      return place ? [{ place, own }] : [];
    });
    const [choice] = choices;
    if (!choice) throw missing(flag);
    for (const each of choice.own) perform(choice.place, each);
  }
}

function missing(flag: string): TslayerError {
  return new TslayerError('UNSUPPORTED', `${flag} cannot be enforced: its cgroup subsystem is not available here`, {
    hint: 'tslayer cgroups lists what is mounted; without root it must be delegated to the user',
  });
}

function perform({ directory }: Place, { files, value, what, optional }: CgroupWrite): void {
  const file = files.find((name) => existsSync(join(directory, name)));
  try {
    if (file === undefined) throw new TslayerError('UNSUPPORTED', `${what}: this kernel has no ${files.join(' or ')}`);
    writeCgroup(directory, file, value);
  } catch (error) {
    if (optional) return;
    if (!hasErrno(error, 'EINVAL', 'ERANGE', 'ENODEV', 'EBUSY')) throw error;
    throw new TslayerError('INVALID_ARGUMENT', `${what}: the kernel refuses ${value} for ${file}`, { cause: error });
  }
}

function setDeviceRules(places: readonly Place[], rules: readonly DeviceRule[]): void {
  const v1 = placeOf(places, 'devices', 1);
  const v2 = places.find(({ hierarchy }) => hierarchy.version === 2);
  if (v1) for (const each of deviceWritesV1(rules)) perform(v1, each);
  else if (v2) attachRules(v2.directory, rules);
}

function attachRules(directory: string, rules: readonly DeviceRule[]): void {
  const program = loadDeviceProgram(encodeEbpf(deviceProgram(rules)));
  const cgroup = openSync(directory, 'r');
  try {
    attachDeviceProgram(cgroup, program);
  } finally {
    closeSync(cgroup);
    closeSync(program);
  }
}
