/** From an image's config and the caller's options to a ContainerSpec: docker's rules, no side effects. */
import { posix } from 'node:path';
import { TslayerError } from '../errors.ts';
import type { Mount } from '../mounts/mount.ts';
import type { ImageConfig, RuntimeConfig } from '../oci/config.ts';
import { randomHex } from '../sys/random.ts';
import { chooseCapabilities, parseCapability } from './capabilities.ts';
import {
  DEFAULT_DEVICE_RULES,
  DEFAULT_DEVICES,
  DEFAULT_PATH,
  defaultMounts,
  MASKED_PATHS,
  READONLY_PATHS,
} from './defaults.ts';
import { localHost, type SpecHost } from './host.ts';
import { hasNew } from './init/namespaces.ts';
import { parseDevice, parseDeviceRule } from './options/devices.ts';
import { mergeEnvironment } from './options/environment.ts';
import { generateFiles } from './options/files.ts';
import { parseNamespace } from './options/namespaces.ts';
import { parseResources } from './options/resources.ts';
import { parseSecurityOptions, parseUserNamespace, type SecurityOptions } from './options/security.ts';
import { parseBytes } from './options/sizes.ts';
import { chooseSysctls } from './options/sysctls.ts';
import { parseUlimit } from './options/ulimits.ts';
import { parseTmpfs, parseVolume } from './options/volumes.ts';
import { requirePortable } from './portable.ts';
import type { RunOptions } from './run-options.ts';
import { chooseProfile } from './seccomp/choose.ts';
import { signalNumber } from './signals.ts';
import type {
  ContainerSpec,
  DeviceRule,
  DeviceSpec,
  GeneratedFiles,
  MountSpec,
  NamespaceKind,
  NamespaceSpec,
  ProcessSpec,
  RuntimeName,
} from './spec.ts';

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

const DEFAULT_SHM = '64m';
const CGROUP_PARENT = '/tslayer';
const STOP_SECONDS = 10;
const MAX_OOM_SCORE = 1000;

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

function buildProcess(
  image: RuntimeConfig,
  options: RunOptions,
  hostname: string,
  security: SecurityOptions,
  host: SpecHost,
): ProcessSpec {
  const privileged = options.privileged ?? false;
  const add = options.capAdd ?? [];
  const capabilities = chooseCapabilities({ add, drop: options.capDrop ?? [], privileged });
  const named = add.filter((name) => name.toUpperCase() !== 'ALL').map(parseCapability);
  const profile = chooseProfile(security.seccomp, capabilities, host.readText);
  return {
    args: chooseArguments(image, options),
    env: mergeEnvironment(
      [`PATH=${DEFAULT_PATH}`, `HOSTNAME=${hostname}`, ...(options.tty ? ['TERM=xterm'] : [])],
      (image.Env ?? []).filter((entry) => entry.indexOf('=') > 0),
      options.env ?? [],
    ),
    cwd: posix.resolve('/', options.workdir ?? image.WorkingDir ?? '/'),
    user: options.user ?? image.User ?? '',
    additionalGroups: options.groupAdd ?? [],
    terminal: options.tty ?? false,
    stdin: options.interactive ?? false,
    capabilities,
    addedCapabilities: named.filter((name) => capabilities.includes(name)),
    noNewPrivileges: security.noNewPrivileges,
    rlimits: (options.ulimit ?? []).map(parseUlimit),
    ...(options.oomScoreAdj !== undefined && { oomScoreAdj: checkOomScore(options.oomScoreAdj) }),
    init: options.init ?? false,
    ...(profile && { seccomp: profile }),
  };
}

/** An entrypoint of the caller's own also sets the image's Cmd aside. */
function chooseArguments(image: RuntimeConfig, options: RunOptions): string[] {
  const ownEntrypoint = options.entrypoint !== undefined;
  const entrypoint = ownEntrypoint ? [options.entrypoint].filter((x) => x !== '') : (image.Entrypoint ?? []);
  const given = options.command ?? [];
  const command = given.length > 0 ? given : ownEntrypoint ? [] : (image.Cmd ?? []);
  const args = [...entrypoint, ...command].filter((x) => x !== undefined);
  if (args.length === 0) {
    throw new TslayerError('INVALID_ARGUMENT', 'there is no program to run: the image names none', {
      hint: 'say one after the image',
    });
  }
  return args;
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

/** Below the volumes: one over /etc hides them, and is not written to. */
const GENERATED = [
  ['/etc/hosts', 'hosts', 'hosts'],
  ['/etc/hostname', 'hostname', 'hostname'],
  ['/etc/resolv.conf', 'resolv.conf', 'resolvConf'],
] as const;

function chooseMounts(
  options: RunOptions,
  privileged: boolean,
  ownIpc: boolean,
  generated: GeneratedFiles,
  host: SpecHost,
): MountSpec[] {
  const system = defaultMounts(parseBytes(options.shmSize ?? DEFAULT_SHM, '--shm-size')).map((mount) => {
    // With the host's IPC namespace, the queues that mqueue shows are the host's by themselves.
    if (mount.destination === '/dev/shm' && !ownIpc) {
      return { ...mount, type: 'bind', source: mount.destination, options: ['bind'] };
    }
    if (!privileged) return mount;
    return { ...mount, options: mount.options.filter((option) => option !== 'ro') };
  });
  const files = GENERATED.filter(([, , key]) => generated[key] !== undefined).map(
    ([destination, source]): MountSpec => ({ destination, type: 'file', source, options: ['rprivate'] }),
  );
  const volumes = (options.volumes ?? []).map(parseVolume);
  for (const { source } of volumes) host.requireSource(source);
  const own = [...volumes, ...(options.tmpfs ?? []).map(parseTmpfs)];
  // Shorter destinations first: /data must not hide /data/cache, whichever was named first.
  const depth = (mount: MountSpec): number => mount.destination.split('/').length;
  return [...system, ...files, ...own.toSorted((a, b) => depth(a) - depth(b))];
}

function chooseDevices(options: RunOptions, host: SpecHost): { devices: DeviceSpec[]; rules: DeviceRule[] } {
  const granted = (options.device ?? []).map((text) => parseDevice(text, host.statDevice));
  const rules = (options.deviceCgroupRule ?? []).map(parseDeviceRule);
  if (options.privileged) {
    const own = new Set(DEFAULT_DEVICES.map(({ path }) => path));
    const rest = host.allDevices().filter(({ path }) => !own.has(path));
    return { devices: [...DEFAULT_DEVICES, ...rest], rules: [{ allow: true, type: 'a', access: 'rwm' }] };
  }
  return {
    devices: [...DEFAULT_DEVICES, ...granted.map(({ device }) => device)],
    rules: [...DEFAULT_DEVICE_RULES, ...granted.map(({ rule }) => rule), ...rules],
  };
}

/** With UTS or network the host's, the name is too: what resolves there is the host's own. */
function hostnameFor(
  id: string,
  uts: NamespaceSpec | undefined,
  network: NamespaceSpec | undefined,
  host: SpecHost,
): string {
  if (uts?.path !== undefined) return host.hostnameIn(uts.path);
  return uts && network ? id : host.hostname();
}

function checkHostname(hostname: string | undefined, namespaces: readonly NamespaceSpec[]): string | undefined {
  if (hostname === undefined) return undefined;
  if (!hasNew(namespaces, 'uts'))
    throw new TslayerError('INVALID_ARGUMENT', '--hostname needs a UTS namespace of its own');
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$/.test(hostname)) {
    throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(hostname)} is no host name of at most 63 characters`);
  }
  return hostname;
}

function checkSignal(text: string | undefined): string | undefined {
  if (text !== undefined) signalNumber(text);
  return text;
}

function checkOomScore(score: number): number {
  if (Number.isInteger(score) && Math.abs(score) <= MAX_OOM_SCORE) return score;
  throw new TslayerError('INVALID_ARGUMENT', `--oom-score-adj goes from -${MAX_OOM_SCORE} to ${MAX_OOM_SCORE}`);
}

/** A path from the hierarchies' root; `..` would place the container in someone else's cgroup. */
function checkCgroupParent(path: string): string {
  if (path.split('/').some((part) => part === '..' || part === '.')) {
    throw new TslayerError('INVALID_ARGUMENT', `--cgroup-parent ${path}: no . or .. here`);
  }
  return posix.join('/', path);
}
