/** `--sysctl`: the kernel's settings that a namespace has of its own, and docker's defaults for a new network. */
import { TslayerError } from '../../errors.ts';
import type { NamespaceKind, NamespaceSpec, SysctlSpec, UserMapping } from '../spec.ts';

/** By the namespace that keeps them apart: namespaces(7). All others are the machine's. */
const NAMESPACED: readonly (readonly [RegExp, NamespaceKind])[] = [
  [/^net\./, 'network'],
  [/^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.\w+)$/, 'ipc'],
  [/^kernel\.domainname$/, 'uts'],
];

/** The kernel takes none above it for net.ipv4.ping_group_range. */
const LAST_GROUP = 2 ** 31 - 1;

export interface SysctlContext {
  readonly namespaces: readonly NamespaceSpec[];
  readonly userNamespace: UserMapping | undefined;
  /** The highest group id that the launcher itself knows. */
  readonly lastGroup: () => number;
}

/** `KEY=VALUE`, after the defaults. */
export function chooseSysctls(texts: readonly string[], context: SysctlContext): SysctlSpec[] {
  const isNew = (kind: NamespaceKind): boolean =>
    context.namespaces.some(({ type, path }) => type === kind && path === undefined);
  const asked = texts.map((text) => parseSysctl(text, isNew));
  return [...(isNew('network') ? networkDefaults(context) : []), ...asked];
}

/** The network is the container's own: whoever is in it may ping, and listen at any port. */
function networkDefaults({ userNamespace, lastGroup }: SysctlContext): SysctlSpec[] {
  const last = userNamespace?.gids.reduce((sum, { size }) => sum + size, -1) ?? lastGroup();
  return [
    { key: 'net.ipv4.ping_group_range', value: `0 ${Math.min(last, LAST_GROUP)}`, optional: true },
    { key: 'net.ipv4.ip_unprivileged_port_start', value: '0', optional: true },
  ];
}

function parseSysctl(text: string, isNew: (kind: NamespaceKind) => boolean): SysctlSpec {
  const [, written = '', value = ''] = /^([\w./-]+)=(.+)$/.exec(text) ?? [];
  // Nothing between two separators: neither `a..b` nor `a/../b`.
  if (written === '' || /(^|[./])([./]|$)/.test(written))
    throw wrong(text, 'write KEY=VALUE, as in net.core.somaxconn=9');
  const key = written.includes('/') ? sysctlPath(written) : written;
  const kind = NAMESPACED.find(([keys]) => keys.test(key))?.[1];
  if (kind === undefined) throw wrong(text, 'it is a setting of the whole machine');
  if (!isNew(kind)) throw wrong(text, `it takes a ${kind} namespace of the container's own`);
  return { key, value };
}

/** From `net.ipv4.conf.eth0/1` to the path `net/ipv4/conf/eth0.1`, and back: sysctl.d(5). */
export function sysctlPath(key: string): string {
  return key.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

function wrong(text: string, why: string): TslayerError {
  return new TslayerError('INVALID_ARGUMENT', `--sysctl ${JSON.stringify(text)}: ${why}`);
}
