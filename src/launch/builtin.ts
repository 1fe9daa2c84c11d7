/** The built-in launcher as a carrier: cgroups, an init process, and nothing in between. */
import { closeSync } from 'node:fs';
import type { WindowSize } from '../sys/pty.ts';
import type { RemoteProcess } from '../sys/remote/process.ts';
import type { InitProcess } from './boot/init-process.ts';
import { type ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import { createCgroups } from './cgroups/create.ts';
import { type ContainerMounts, openContainerMounts } from './container-mounts.ts';
import type { ContainerStore } from './container-store.ts';
import { enterContainer, leaveHost } from './init/container.ts';
import { hasNew } from './init/namespaces.ts';
import { becomeProgram, type ProgramRequest } from './init/program.ts';
import { filterFor } from './seccomp/filter.ts';
import type { ContainerSpec } from './spec.ts';
import { holdStages, releaseStages } from './stages.ts';
import type { Carrier, Program } from './supervise.ts';
import { writeMappings } from './user-namespace.ts';

export interface BuiltinOptions {
  readonly store: ContainerStore;
  readonly spec: ContainerSpec;
  readonly init: InitProcess;
  readonly onWarning: (message: string) => void;
  /** Takes the descriptor of the terminal's master. */
  readonly onTerminal: (master: number) => void;
  /** Asked for when the rest is ready. */
  readonly windowSize?: () => Promise<WindowSize | undefined>;
}

export class BuiltinCarrier implements Carrier {
  readonly #options: BuiltinOptions;
  #cgroups: ContainerCgroups | undefined;
  #holdsStages = false;
  #union: Disposable | undefined;

  constructor(options: BuiltinOptions) {
    this.#options = options;
  }

  async start(): Promise<Program> {
    const { init, spec, store, windowSize } = this.#options;
    this.#holdsStages = holdStages(spec.rootfs.mounts, store.stages, spec.id);
    const { seccomp, capabilities } = spec.process;
    const filter = seccomp && (await filterFor(seccomp, capabilities));
    const size = await windowSize?.();
    init.ready();
    using rootfs = this.#openRootfs();
    this.#union = rootfs.union;
    init.perform((remote) => leaveHost(remote, spec));
    // While the init process is at it.
    this.#cgroups = await createCgroups(cgroupPath(spec), spec.resources);
    const members = this.#cgroups.openMembers();
    try {
      init.become((remote) => this.#prepare(remote, rootfs, members, { filter, windowSize: size }));
    } finally {
      closeAll(members);
    }
    return init;
  }

  /** From here to the program's first instruction nothing else happens in this process. */
  #prepare(
    remote: RemoteProcess,
    { mounts, complete }: ContainerMounts,
    members: readonly number[],
    options: Pick<ProgramRequest, 'filter' | 'windowSize'>,
  ): void {
    const { spec, store, onWarning, onTerminal, init } = this.#options;
    const { rootfs: rootfsDirectory, files: filesDirectory } = store.paths(spec.id);
    const [rootfs, ...binds] = remote.pass(mounts);
    const cgroups = this.#cgroups?.binds ?? [];
    enterContainer(remote, spec, {
      rootfsDirectory,
      filesDirectory,
      rootfs,
      binds: complete ? binds : undefined,
      cgroups,
    });
    becomeProgram(remote, {
      ...options,
      process: spec.process,
      cgroupFiles: remote.pass(members),
      newCgroupNamespace: hasNew(spec.namespaces, 'cgroup'),
      first: true,
      onWarning,
      onMaster: (master) => onTerminal(init.descriptor(master)),
    });
  }

  #openRootfs(): ContainerMounts & Disposable {
    const { init, spec, store } = this.#options;
    const paths = { ...store.paths(spec.id), stages: store.stages };
    if (spec.userNamespace) writeMappings(init.pid, spec.userNamespace);
    return openContainerMounts(spec, paths, init.pid, this.#holdsStages);
  }

  /** A PID namespace ends with its first process; in the host's, the cgroup tells who is left. */
  async bury(): Promise<{ oomKilled: boolean }> {
    const { init, spec, store } = this.#options;
    using _union = this.#union;
    init.child.kill('SIGKILL');
    await init.ended;
    if (this.#holdsStages) releaseStages(store.stages, spec.id);
    const cgroups = this.#cgroups;
    if (!cgroups) return { oomKilled: false };
    const oomKilled = cgroups.oomKills() > 0;
    if (!spec.namespaces.some(({ type, path }) => type === 'pid' && path === undefined)) await cgroups.killAll();
    await cgroups.remove();
    return { oomKilled };
  }
}

function closeAll(files: readonly number[]): void {
  for (const file of files) closeSync(file);
}
