/** A ContainerSpec as the OCI Runtime Specification's config.json, for runc, crun and whatever else reads it. Pure. */
import type { CapabilityName } from './capabilities.ts';
import { cgroupPath } from './cgroups/cgroups.ts';
import type { ResolvedUser } from './init/user.ts';
import { requirePortable } from './portable.ts';
import { profileOf } from './seccomp/choose.ts';
import { abisOf } from './seccomp/syscalls.ts';
import type { ContainerSpec, DeviceSpec, MountSpec, ProcessSpec, Rlimit } from './spec.ts';

export interface BundlePlaces {
  /** Absolute. */
  readonly rootfs: string;
  /** Holds the generated files. */
  readonly files: string;
}

/** Plain JSON; see config.md and config-linux.md of the specification. */
export type OciConfig = Readonly<Record<string, unknown>>;

export function toOciConfig(spec: ContainerSpec, user: ResolvedUser, places: BundlePlaces): OciConfig {
  requirePortable(spec);
  return {
    ociVersion: '1.0.2',
    root: { path: places.rootfs, readonly: spec.rootfs.readOnly },
    hostname: spec.namespaces.some(({ type }) => type === 'uts') ? spec.hostname : undefined,
    process: processOf(spec.process, user),
    mounts: spec.mounts.map((mount) => mountOf(mount, places.files)),
    linux: {
      namespaces: spec.namespaces,
      devices: spec.devices.map(deviceOf),
      resources: spec.resources,
      sysctl: Object.fromEntries(spec.sysctls.map(({ key, value }) => [key, value])),
      cgroupsPath: cgroupPath(spec),
      maskedPaths: spec.maskedPaths,
      readonlyPaths: spec.readonlyPaths,
      seccomp: seccompOf(spec.process),
    },
    annotations: spec.labels,
  };
}

function processOf(process: ProcessSpec, user: ResolvedUser): OciConfig {
  const hasHome = process.env.some((entry) => entry.startsWith('HOME='));
  return {
    terminal: process.terminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: process.args,
    env: hasHome ? process.env : [...process.env, `HOME=${user.home}`],
    cwd: process.cwd,
    capabilities: capabilitiesOf(process, user.uid === 0),
    rlimits: process.rlimits.map(rlimitOf),
    oomScoreAdj: process.oomScoreAdj,
    noNewPrivileges: process.noNewPrivileges,
  };
}

/** The same sets that the init process takes: init/identity.ts. */
function capabilitiesOf({ capabilities, addedCapabilities }: ProcessSpec, isRoot: boolean): OciConfig {
  const named = (set: readonly CapabilityName[]): string[] => set.map((name) => `CAP_${name}`);
  const held = named(isRoot ? capabilities : addedCapabilities);
  const inherited = isRoot ? [] : held;
  return {
    bounding: named(capabilities),
    effective: held,
    permitted: held,
    inheritable: inherited,
    ambient: inherited,
  };
}

/** RLIM_INFINITY is above what a JavaScript number holds. */
const UNLIMITED = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(2n ** 64n - 1n));

function rlimitOf({ type, soft, hard }: Rlimit): OciConfig {
  const value = (limit: number): unknown => (limit < 0 ? UNLIMITED : limit);
  return { type: `RLIMIT_${type.toUpperCase()}`, soft: value(soft), hard: value(hard) };
}

function mountOf(mount: MountSpec, files: string): MountSpec {
  if (mount.type !== 'file') return mount;
  return { ...mount, type: 'bind', source: `${files}/${mount.source}`, options: ['bind', ...mount.options] };
}

function deviceOf({ path, type, major, minor, mode, uid, gid }: DeviceSpec): OciConfig {
  return { path, type, major, minor, fileMode: mode, uid, gid };
}

function seccompOf({ seccomp, capabilities }: ProcessSpec): OciConfig | undefined {
  if (!seccomp) return undefined;
  const profile = profileOf(seccomp, capabilities);
  return { ...profile, architectures: profile.architectures ?? abisOf(process.arch).map(({ name }) => name) };
}
