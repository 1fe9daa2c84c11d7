/** Linux capabilities by name: capabilities(7). The position in the list is the kernel's number. */
import { TslayerError } from '../errors.ts';

const NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const;

/** Without the `CAP_` prefix, as docker's flags take them. */
export type CapabilityName = (typeof NAMES)[number];

export const ALL_CAPABILITIES: readonly CapabilityName[] = NAMES;

/** What docker gives a container: enough for servers that start as root, nothing that reaches the host. */
export const DEFAULT_CAPABILITIES: readonly CapabilityName[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SYS_CHROOT',
  'MKNOD',
  'AUDIT_WRITE',
  'SETFCAP',
];

/** The kernel's bit mask of a set. */
export function capabilityMask(set: readonly CapabilityName[]): bigint {
  return set.reduce((mask, name) => mask | (1n << BigInt(NAMES.indexOf(name))), 0n);
}

/** The names of a kernel bit mask; bits that have no name here are left out. */
export function capabilitiesOf(mask: bigint): CapabilityName[] {
  return NAMES.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
}

/** `net_admin`, `CAP_NET_ADMIN` → NET_ADMIN. */
export function parseCapability(text: string): CapabilityName {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  const known = NAMES.find((candidate) => candidate === name);
  if (known === undefined) throw new TslayerError('INVALID_ARGUMENT', `unknown capability ${JSON.stringify(text)}`);
  return known;
}

export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
}

/** Docker's rules: `ALL` first, then single names; dropping everything and adding some leaves only those. */
export function chooseCapabilities(request: CapabilityRequest): CapabilityName[] {
  const isAll = (text: string): boolean => text.toUpperCase() === 'ALL';
  const added = request.add.filter((x) => !isAll(x)).map(parseCapability);
  const dropped = new Set(request.drop.filter((x) => !isAll(x)).map(parseCapability));
  const base = request.drop.some(isAll)
    ? []
    : request.privileged || request.add.some(isAll)
      ? NAMES
      : DEFAULT_CAPABILITIES;
  const chosen = new Set<CapabilityName>([...base, ...added]);
  return NAMES.filter((name) => chosen.has(name) && !dropped.has(name));
}
