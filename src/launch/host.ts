/** What making a spec asks of the machine: files, devices, free id ranges. Tests give one of their own. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { asTslayerError, TslayerError } from '../errors.ts';
import { majorOf, minorOf } from '../sys/files.ts';
import { hasErrno } from '../sys/libc.ts';
import { CLONE_NEWUTS, inNamespace } from '../sys/namespaces.ts';
import { cannotJoin } from './init/namespaces.ts';
import type { StatDevice } from './options/devices.ts';
import type { IdOwner, SubordinateRange } from './options/security.ts';
import type { DeviceSpec } from './spec.ts';
import { inUserNamespace } from './user-namespace.ts';

export interface SpecHost extends IdOwner {
  readonly hostname: () => string;
  /** The host name in the UTS namespace of a path. */
  readonly hostnameIn: (path: string) => string;
  /** A file that the user named: NOT_FOUND when it is not there. */
  readonly readText: (path: string) => string;
  /** One of the host's own files; undefined when it has none. */
  readonly readHostFile: (path: string) => string | undefined;
  readonly statDevice: StatDevice;
  /** Every device in /dev, for privileged containers. */
  readonly allDevices: () => readonly DeviceSpec[];
  /** The source of a volume. NOT_FOUND when it is not there. */
  readonly requireSource: (path: string) => void;
  /** The highest group id in the caller's user namespace. */
  readonly lastGroup: () => number;
}

export const localHost: SpecHost = {
  hostname,
  hostnameIn,
  readText: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new TslayerError('NOT_FOUND', `cannot read ${path}`, { cause });
    }
  },
  readHostFile: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
  statDevice,
  allDevices: () => [...devicesIn('/dev')],
  automaticRanges: () => subordinateRanges(localHost),
  inUserNamespace,
  requireSource: (path) => {
    if (!existsSync(path)) throw new TslayerError('NOT_FOUND', `there is no ${path} on this machine to mount`);
  },
  lastGroup: () => lastId(readFileSync('/proc/self/gid_map', 'utf8')),
};

function hostnameIn(path: string): string {
  try {
    return inNamespace(path, CLONE_NEWUTS, hostname);
  } catch (error) {
    throw asTslayerError(error, cannotJoin('uts', path));
  }
}

/** The end of the last range: user_namespaces(7). */
function lastId(map: string): number {
  const ends = map
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 1]) => first + count - 1);
  return Math.max(...ends);
}

function statDevice(path: string): Omit<DeviceSpec, 'path'> {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT')) throw cause;
    throw new TslayerError('NOT_FOUND', `there is no device ${path}`, { cause });
  }
  if (!stat?.isCharacterDevice() && !stat?.isBlockDevice()) {
    throw new TslayerError('INVALID_ARGUMENT', `${path} is no device`);
  }
  return {
    type: stat.isBlockDevice() ? 'b' : 'c',
    major: majorOf(stat.rdev),
    minor: minorOf(stat.rdev),
    mode: Number(stat.mode) & 0o777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
  };
}

/** What holds no devices of the host's own, or what a container gets anew. */
const NOT_DEVICES = new Set(['pts', 'ptmx', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.udev']);

function* devicesIn(directory: string): Generator<DeviceSpec> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`;
    if (directory === '/dev' && NOT_DEVICES.has(entry.name)) continue;
    if (entry.isDirectory()) yield* devicesIn(path);
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) yield { path, ...statDevice(path) };
  }
}

/** Who may own the ranges that root hands out: podman's and docker's names for it, then root itself. */
const RANGE_OWNERS = ['containers', 'dockremap', 'root'];
/** Where nothing is configured: from above what distributions and systemd give to anybody, up to 2^31. */
const FALLBACK_RANGE: SubordinateRange = { uid: 0x7000_0000, gid: 0x7000_0000, size: 0x1000_0000 };

function subordinateRanges(host: SpecHost): SubordinateRange {
  for (const owner of RANGE_OWNERS) {
    const uids = findRange(host.readHostFile('/etc/subuid'), owner);
    const gids = findRange(host.readHostFile('/etc/subgid'), owner);
    if (uids && gids) return { uid: uids.first, gid: gids.first, size: Math.min(uids.count, gids.count) };
  }
  return FALLBACK_RANGE;
}

/** The first range of a user in subuid(5). */
export function findRange(text: string | undefined, owner: string): { first: number; count: number } | undefined {
  for (const line of (text ?? '').split('\n')) {
    const [name, first, count] = line.split(':');
    if (name === owner && Number(count) > 0) return { first: Number(first), count: Number(count) };
  }
  return undefined;
}
