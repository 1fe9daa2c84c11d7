/** The built-in launcher as a carrier: cgroups, an init process, and nothing in between. */
import { closeSync } from 'node:fs';
import type { WindowSize } from '../sys/pty.ts';
import type { InitProcess, LaunchHooks } from './boot.ts';
import { type ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import { createCgroups } from './cgroups/create.ts';
import type { ContainerStore } from './container-store.ts';
import type { ContainerTask } from './protocol.ts';
import { filterFor } from './seccomp/filter.ts';
import type { ContainerSpec } from './spec.ts';
import { holdStages, releaseStages } from './stages.ts';
import type { Carrier, Program } from './supervise.ts';
import { openContainerMounts, writeMappings } from './user-namespace.ts';

export interface BuiltinOptions extends LaunchHooks {
  readonly store: ContainerStore;
  readonly spec: ContainerSpec;
  readonly init: InitProcess;
  /** Asked for when the rest is ready. */
  readonly windowSize?: () => Promise<WindowSize | undefined>;
}

export class BuiltinCarrier implements Carrier {
  readonly #options: BuiltinOptions;
  #cgroups: ContainerCgroups | undefined;
  #holdsStages = false;

  constructor(options: BuiltinOptions) {
    this.#options = options;
  }

  async start(): Promise<Program> {
    const { init, spec, store, windowSize } = this.#options;
    this.#holdsStages = holdStages(spec.rootfs.mounts, store.stages, spec.id);
    const { seccomp, capabilities } = spec.process;
    const filter = seccomp && (await filterFor(seccomp, capabilities));
    await init.ready();
    const size = await windowSize?.();
    const mounts = this.#openMounts();
    const task = {
      ...this.#task(),
      passedMounts: mounts.length,
      ...(filter && { filter }),
      ...(size && { windowSize: size }),
    };
    init.send(task, mounts);
    closeAll(mounts);
    // While the init process makes its mounts.
    this.#cgroups = await createCgroups(cgroupPath(spec), spec.resources);
    const members = this.#cgroups.openMembers();
    init.place({ cgroups: this.#cgroups.binds }, members);
    closeAll(members);
    await init.started(this.#options);
    return init;
  }

  #openMounts(): number[] {
    const { init, spec, store } = this.#options;
    if (!spec.userNamespace) return [];
    writeMappings(init.pid, spec.userNamespace);
    return openContainerMounts(spec, { ...store.paths(spec.id), stages: store.stages }, init.pid);
  }

  #task(): ContainerTask {
    const { spec, store } = this.#options;
    const { rootfs, files } = store.paths(spec.id);
    const { process: program, ...container } = spec;
    return {
      task: 'container',
      process: program,
      spec: container,
      rootfsDirectory: rootfs,
      filesDirectory: files,
      ...(this.#holdsStages && { stages: store.stages }),
      passedMounts: 0,
    };
  }

  /** A PID namespace ends with its first process; in the host's, the cgroup tells who is left. */
  async bury(): Promise<{ oomKilled: boolean }> {
    const { init, spec, store } = this.#options;
    if (init.child.exitCode === null) init.child.kill('SIGKILL');
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
