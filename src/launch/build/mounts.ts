/** What is mounted over the image: the system's own, generated files, volumes. */
import { defaultMounts } from '../defaults.ts';
import type { SpecHost } from '../host.ts';
import { parseBytes } from '../options/sizes.ts';
import { parseTmpfs, parseVolume } from '../options/volumes.ts';
import type { RunOptions } from '../run-options.ts';
import type { GeneratedFiles, MountSpec } from '../spec.ts';

const DEFAULT_SHM = '64m';

/** Below the volumes: one over /etc hides them, and is not written to. */
const GENERATED = [
  ['/etc/hosts', 'hosts', 'hosts'],
  ['/etc/hostname', 'hostname', 'hostname'],
  ['/etc/resolv.conf', 'resolv.conf', 'resolvConf'],
] as const;

export function chooseMounts(
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
