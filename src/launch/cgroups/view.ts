/** The cgroup hierarchies as a user sees them: what is attached where, and which containers are inside. */

export interface HierarchyView {
  readonly version: 1 | 2;
  /** As in `/sys/fs/cgroup/memory`. */
  readonly mountpoint: string;
  /** Subsystems attached, as in `cpu`, `cpuacct`; on v2 its controllers. */
  readonly subsystems: readonly string[];
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    readonly cgroup: string;
    readonly processes: number;
  }[];
}
