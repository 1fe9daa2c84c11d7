/** What a container uses, in one sample. Absent is what no cgroup of its own counts, as for an ordinary user. */

export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  /** ISO 8601. */
  readonly time: string;
  readonly cpu?: {
    /** Of one core, since the last sample: 150 is one and a half cores. */
    readonly percent: number;
    /** Nanoseconds since the start. */
    readonly usage: number;
    readonly perCore?: readonly number[];
    readonly throttledPeriods?: number;
    readonly throttledTime?: number;
  };
  /** Bytes. `usage` counts no page cache that the kernel would give up first. */
  readonly memory?: {
    readonly usage: number;
    readonly limit?: number;
    readonly pageCache: number;
    readonly oomKills: number;
  };
  readonly pids?: { readonly current: number; readonly limit?: number };
  /** Bytes and operations since the start. */
  readonly io?: {
    readonly readBytes: number;
    readonly writeBytes: number;
    readonly reads: number;
    readonly writes: number;
  };
  /** Bytes of the network namespace's interfaces without the loopback; absent with the host's network. */
  readonly network?: { readonly received: number; readonly sent: number };
}
