/** From an image's config and the caller's options to a ContainerSpec: docker's rules, no side effects. */
import { posix } from 'node:path';
import { TslayerError } from '../errors.ts';
import type { Mount } from '../mounts/mount.ts';
import type { ImageConfig } from '../oci/config.ts';
import { randomHex } from '../sys/random.ts';
import { chooseDevices } from './build/devices.ts';
import { checkHostname, hostnameFor } from './build/hostname.ts';
import { chooseMounts } from './build/mounts.ts';
import { buildProcess } from './build/process.ts';
import { MASKED_PATHS, READONLY_PATHS } from './defaults.ts';
import { localHost, type SpecHost } from './host.ts';
import { generateFiles } from './options/files.ts';
import { parseNamespace } from './options/namespaces.ts';
import { parseResources } from './options/resources.ts';
import { parseSecurityOptions, parseUserNamespace } from './options/security.ts';
import { chooseSysctls } from './options/sysctls.ts';
import { requirePortable } from './portable.ts';
import type { RunOptions } from './run-options.ts';
import { signalNumber } from './signals.ts';
import type { ContainerSpec, NamespaceKind, NamespaceSpec, RuntimeName } from './spec.ts';

export interface SpecInput {
  /** From newContainerId(); also the key of the rootfs's snapshot. */
  readonly id: string;
  readonly image: string;
  readonly config: ImageConfig;
  readonly rootfs: readonly Mount[];
  readonly options: RunOptions;
  readonly host?: SpecHost;
}

export function newContainerId(): string {
  return randomHex(6);
}

const CGROUP_PARENT = '/tslayer';
const STOP_SECONDS = 10;

export function buildSpec(input: SpecInput): ContainerSpec {
  const { id, options, host = localHost } = input;
  const privileged = options.privileged ?? false;
  const security = parseSecurityOptions(options.securityOpt ?? [], privileged);
  const namespaces = chooseNamespaces(options);
  const own = (type: NamespaceKind): NamespaceSpec | undefined => namespaces.find((each) => each.type === type);
  const hostname = checkHostname(options.hostname, namespaces) ?? hostnameFor(id, own('uts'), own('network'), host);
  const { devices, rules } = chooseDevices(options, host);
  const userNamespace = parseUserNamespace(options.userns, host);
  const files = generateFiles({
    hostname,
    hostHosts: host.readHostFile('/etc/hosts'),
    hostResolvConf: host.readHostFile('/etc/resolv.conf'),
    hostNetwork: own('network') === undefined,
    addHost: options.addHost ?? [],
    dns: options.dns ?? [],
  });
  const spec: ContainerSpec = {
    id,
    name: options.name ?? id,
    image: input.image,
    rootfs: { mounts: input.rootfs, readOnly: options.readOnly ?? false },
    process: buildProcess(input.config.config, options, hostname, security, host),
    namespaces: userNamespace ? [...namespaces, { type: 'user' }] : namespaces,
    hostname,
    sysctls: chooseSysctls(options.sysctl ?? [], { namespaces, userNamespace, lastGroup: host.lastGroup }),
    mounts: chooseMounts(options, privileged, own('ipc') !== undefined, files, host),
    devices,
    maskedPaths: security.systemPathsUnconfined ? [] : MASKED_PATHS,
    readonlyPaths: security.systemPathsUnconfined ? [] : READONLY_PATHS,
    resources: parseResources(options, rules, host.statDevice),
    cgroupParent: checkCgroupParent(options.cgroupParent ?? CGROUP_PARENT),
    files,
    ...(userNamespace && { userNamespace }),
    stop: {
      signal: checkSignal(options.stopSignal) ?? input.config.config.StopSignal ?? 'SIGTERM',
      timeoutSeconds: options.stopTimeout ?? STOP_SECONDS,
    },
    ...(options.runtime !== undefined && { runtime: parseRuntime(options.runtime) }),
    ...(options.onExit && { onExit: options.onExit }),
    labels: { ...input.config.config.Labels, ...options.labels },
  };
  if (spec.runtime) requirePortable(spec);
  return spec;
}

/** @throws for what no image could be run with: to be known before one is fetched */
export function checkOptions(options: RunOptions): void {
  const platform = { os: 'linux', architecture: process.arch };
  const config = { platform, config: { Cmd: ['true'] }, diffIDs: [], history: [] };
  buildSpec({ id: newContainerId(), image: '', config, rootfs: [], options });
}

function parseRuntime(text: string): RuntimeName {
  if (text === 'runc' || text === 'crun') return text;
  throw new TslayerError('INVALID_ARGUMENT', `--runtime ${JSON.stringify(text)}: runc and crun are known`);
}

function chooseNamespaces(options: RunOptions): NamespaceSpec[] {
  return [
    { type: 'mount' },
    ...parseNamespace('uts', options.uts),
    ...parseNamespace('ipc', options.ipc),
    ...parseNamespace('pid', options.pid),
    ...parseNamespace('network', options.network, ['none']),
    ...parseNamespace('cgroup', options.cgroupns),
  ];
}

function checkSignal(text: string | undefined): string | undefined {
  if (text !== undefined) signalNumber(text);
  return text;
}

/** A path from the hierarchies' root; `..` would place the container in someone else's cgroup. */
function checkCgroupParent(path: string): string {
  if (path.split('/').some((part) => part === '..' || part === '.')) {
    throw new TslayerError('INVALID_ARGUMENT', `--cgroup-parent ${path}: no . or .. here`);
  }
  return posix.join('/', path);
}
