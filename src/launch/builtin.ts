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
    const cgroups = await createCgroups(cgroupPath(spec), spec.resources);
    this.#cgroups = cgroups;
    const { seccomp, capabilities } = spec.process;
    const filter = seccomp && (await filterFor(seccomp, capabilities));
    this.#holdsStages = holdStages(spec.rootfs.mounts, store.stages, spec.id);
    await init.ready();
    const size = await windowSize?.();
    const mounts: number[] = [];
    const members = cgroups.openMembers();
    try {
      if (spec.userNamespace) {
        writeMappings(init.pid, spec.userNamespace);
        mounts.push(...openContainerMounts(spec, { ...store.paths(spec.id), stages: store.stages }, init.pid));
      }
      const task: ContainerTask = {
        ...this.#task(cgroups),
        passedMounts: mounts.length,
        ...(filter !== undefined && { filter }),
        ...(size && { windowSize: size }),
      };
      await init.launch(task, [...mounts, ...members], this.#options);
    } finally {
      for (const file of [...mounts, ...members]) closeSync(file);
    }
    return init;
  }

  #task(cgroups: ContainerCgroups): ContainerTask {
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
      cgroups: cgroups.binds,
      cgroupFiles: cgroups.places.length,
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
