/**
 * What a caller may ask of a container: docker's flags under docker's names, in docker's spelling (`512m`,
 * `/src:/dst:ro`, `nofile=1024:2048`), so that the command line and the library take the same words.
 */

export interface RunOptions {
  /** Replaces the image's Cmd. */
  readonly command?: readonly string[];
  /** Replaces the image's Entrypoint; `''` removes it. */
  readonly entrypoint?: string;
  readonly name?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  /** `KEY=VALUE`; later ones win. */
  readonly env?: readonly string[];
  readonly workdir?: string;
  /** `name|uid[:group|gid]` */
  readonly user?: string;
  readonly groupAdd?: readonly string[];
  readonly hostname?: string;
  readonly labels?: Readonly<Record<string, string>>;

  /** `private` (loopback only), `none` (the same), `host`, or `ns:PATH`. */
  readonly network?: string;
  /** `private`, `host` or `ns:PATH`. */
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly cgroupns?: string;
  /** `host`, `auto`, or `UID:GID:COUNT`: the first host ids and how many. */
  readonly userns?: string;
  /** `NAME:IP` */
  readonly addHost?: readonly string[];
  readonly dns?: readonly string[];
  /** `KEY=VALUE`, of namespaces that are the container's own. */
  readonly sysctl?: readonly string[];

  readonly readOnly?: boolean;
  /** `SRC:DST[:ro,…]` */
  readonly volumes?: readonly string[];
  /** `DST[:size=64m,mode=1777…]` */
  readonly tmpfs?: readonly string[];
  readonly shmSize?: string;

  readonly init?: boolean;
  readonly privileged?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  /** `seccomp=FILE`, `seccomp=unconfined`, `no-new-privileges[=false]`, `systempaths=unconfined`. */
  readonly securityOpt?: readonly string[];
  /** `nofile=1024[:2048]` */
  readonly ulimit?: readonly string[];
  readonly oomScoreAdj?: number;

  /** Bytes, or with b, k, m, g. */
  readonly memory?: string;
  readonly memoryReservation?: string;
  /** Memory and swap together; `-1` for no limit on swap. */
  readonly memorySwap?: string;
  readonly cpus?: string;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  readonly blkioWeight?: number;
  /** `/dev/sda:1mb`, or `8:0:1mb`. */
  readonly deviceReadBps?: readonly string[];
  readonly deviceWriteBps?: readonly string[];
  readonly deviceReadIops?: readonly string[];
  readonly deviceWriteIops?: readonly string[];
  /** `0x100001`: what tc(8) and iptables(8) match packets by. cgroup v1 only. */
  readonly netClassId?: string;
  /** `/dev/fuse[:/dev/inside[:rwm]]` */
  readonly device?: readonly string[];
  /** `c 1:3 rwm` */
  readonly deviceCgroupRule?: readonly string[];
  readonly cgroupParent?: string;

  /** `runc` or `crun`, where installed; default: the built-in launcher. */
  readonly runtime?: string;
  readonly stopSignal?: string;
  readonly stopTimeout?: number;
  /** What the watcher of a detached container starts after its end. */
  readonly onExit?: readonly string[];
}

/** `exec`'s own part of them. */
export interface ExecOptions {
  readonly command: readonly string[];
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly privileged?: boolean;
}
