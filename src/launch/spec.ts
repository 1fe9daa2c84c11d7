/**
 * What to launch, as plain JSON: made once by a pure function from an image's config and the caller's options,
 * kept beside the container, read by the init process, and translated to an OCI config.json for other runtimes.
 * Parts that the OCI Runtime Specification has too (mounts, resources, rlimits, namespaces) have its shape here.
 */
import type { Mount } from '../mounts/mount.ts';
import type { CapabilityName } from './capabilities.ts';
import type { SeccompProfile } from './seccomp/profile.ts';

export interface ContainerSpec {
  /** 12 hexadecimal digits; also names the cgroups and the directory of the container's state. */
  readonly id: string;
  readonly name: string;
  /** The image's reference, as the user gave it. */
  readonly image: string;
  readonly rootfs: RootfsSpec;
  readonly process: ProcessSpec;
  /** Kinds that are listed are new, or joined by path; the others stay the caller's. `mount` is always new. */
  readonly namespaces: readonly NamespaceSpec[];
  readonly hostname: string;
  /** Set in the container's new namespaces; the last one of a key counts. */
  readonly sysctls: readonly SysctlSpec[];
  /** Performed in order, over the rootfs; targets are resolved inside it. */
  readonly mounts: readonly MountSpec[];
  readonly devices: readonly DeviceSpec[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly resources: Resources;
  /** Absolute, from the root of each hierarchy; the container's own cgroup is made below it. */
  readonly cgroupParent: string;
  readonly files: GeneratedFiles;
  /** Present: a user namespace with these ranges. Container ids are 0-based. */
  readonly userNamespace?: UserMapping;
  readonly stop: { readonly signal: string; readonly timeoutSeconds: number };
  /** Absent: the built-in launcher. */
  readonly runtime?: RuntimeName;
  /** A program and its arguments that the watcher of a detached container starts after the end, as for `--rm`. */
  readonly onExit?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export type RuntimeName = 'runc' | 'crun';

export interface RootfsSpec {
  /** With a user namespace: `idmap=` options name no one's namespace, the launcher puts in the container's. */
  readonly mounts: readonly Mount[];
  readonly readOnly: boolean;
}

export interface ProcessSpec {
  readonly args: readonly string[];
  /** `KEY=VALUE` */
  readonly env: readonly string[];
  readonly cwd: string;
  /** As docker writes it: `name|uid[:group|gid]`; empty for root. Names are looked up in the rootfs. */
  readonly user: string;
  readonly additionalGroups: readonly string[];
  readonly terminal: boolean;
  /** Whether standard input is passed on (`-i`); else it is /dev/null. */
  readonly stdin: boolean;
  /** The bounding set; what a root user holds. */
  readonly capabilities: readonly CapabilityName[];
  /** Those that were asked for by name: a user other than root gets these as ambient capabilities, no others. */
  readonly addedCapabilities: readonly CapabilityName[];
  readonly noNewPrivileges: boolean;
  readonly rlimits: readonly Rlimit[];
  readonly oomScoreAdj?: number;
  /** A small init of our own is PID 1: it passes signals on and reaps. */
  readonly init: boolean;
  /** `default`: docker's choice for these capabilities. Absent: no filter. */
  readonly seccomp?: SeccompProfile | 'default';
}

export type NamespaceKind = 'mount' | 'uts' | 'ipc' | 'pid' | 'network' | 'user' | 'cgroup';

export interface NamespaceSpec {
  readonly type: NamespaceKind;
  /** Joins the namespace behind this file, as in /run/netns/NAME. */
  readonly path?: string;
}

export interface SysctlSpec {
  /** As in `net.core.somaxconn`; a slash is a dot of a name. */
  readonly key: string;
  readonly value: string;
  /** Nobody asked for it: where it cannot be set, it is not. */
  readonly optional?: boolean;
}

export interface MountSpec {
  readonly destination: string;
  /** `bind`, `tmpfs`, `proc`, `sysfs`, `devpts`, `mqueue`, `cgroup`, or `file`: the generated file `source`. */
  readonly type: string;
  readonly source: string;
  /**
   * As mount(8) and the OCI specification spell them: `ro`, `nosuid`, `mode=755`, `rprivate`, `rbind`…; `idmap` on a
   * bind mount shows its owners as the container's own.
   */
  readonly options: readonly string[];
}

export interface DeviceSpec {
  readonly path: string;
  /** The host's path, where it is another one. */
  readonly source?: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Rlimit {
  /** Lower case without the prefix: `nofile`, `nproc`, `core`… */
  readonly type: string;
  /** -1 is unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** Limits; absent fields are not set. Bytes, microseconds, and rates a second. */
export interface Resources {
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    /** Memory and swap together, as docker counts; -1 is unlimited. */
    readonly swap?: number;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: {
    /** 10 to 1000. */
    readonly weight?: number;
    readonly weightDevice?: readonly DeviceRate[];
    readonly throttleReadBpsDevice?: readonly DeviceRate[];
    readonly throttleWriteBpsDevice?: readonly DeviceRate[];
    readonly throttleReadIOPSDevice?: readonly DeviceRate[];
    readonly throttleWriteIOPSDevice?: readonly DeviceRate[];
  };
  readonly network?: { readonly classID: number };
  /** Later rules win; the first denies everything unless the container is privileged. */
  readonly devices: readonly DeviceRule[];
}

export interface DeviceRate {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  /** `a`: all. */
  readonly type: 'a' | 'c' | 'b';
  /** Absent: any. */
  readonly major?: number;
  readonly minor?: number;
  /** Some of `rwm`. */
  readonly access: string;
}

/** Contents of files that are bound over the rootfs, so that no layer is written to. Absent ones are not bound. */
export interface GeneratedFiles {
  readonly hosts?: string;
  readonly hostname?: string;
  readonly resolvConf?: string;
}

export interface UserMapping {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}
