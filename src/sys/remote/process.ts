/** Another process's mounts, namespaces, ids and limits: the calls that turn a stub into a container's program. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { hasErrno } from '../libc.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE } from '../mount-api.ts';
import type { ResourceLimit } from '../process.ts';
import { RemoteFiles } from './files.ts';
import { type Argument, type Call, Output, stringVector } from './messages.ts';

const AT_SYMLINK_NOFOLLOW = 0x100;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const AMBIENT_RAISE = 2;
const AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x20080522;

const SIGNALS = 64;
const SIGNAL_SET_BYTES = 8;
const SIG_SETMASK = 2;
/** struct sigaction of the kernel's, all zeros: SIG_DFL. */
const DEFAULT_ACTION: Uint8Array = new Uint8Array(32);

const SECCOMP_SET_MODE_FILTER = 1;
const FILTER_INSTRUCTION_BYTES = 8;

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS = 16;

export interface RemoteCapabilities {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

export class RemoteProcess extends RemoteFiles {
  mount(source: string, target: string, type: string, flags: number, data: string | null = null): void {
    this.post('mount', [source, target, type, flags, data], target);
  }

  /** The same, waited for. @throws SystemCallError */
  tryMount(source: string, target: string, type: string, flags: number, data: string): void {
    this.call('mount', [source, target, type, flags, data], target);
  }

  unmount(target: string, flags: number): void {
    this.post('umount2', [target, flags], target);
  }

  /** Attaches a detached mount at a path. */
  attachMount(mount: number, target: string): void {
    this.post('move_mount', [mount, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH], target);
  }

  /** The same on what a descriptor stands for. */
  attachMountAt(mount: number, target: number): void {
    this.post('move_mount', [mount, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH]);
  }

  /** Adds MOUNT_ATTR_* to the mount on `name` in an open directory; `''` is the directory itself. */
  setMountAttributes(directory: number, name: string, attributes: number, recursive: boolean): void {
    const struct = new BigUint64Array([BigInt(attributes), 0n, 0n, 0n]);
    const flags = (name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW) | (recursive ? AT_RECURSIVE : 0);
    this.post('mount_setattr', [directory, name, flags, new Uint8Array(struct.buffer), struct.byteLength], name);
  }

  pivotRoot(newRoot: string, putOld: string): void {
    this.post('pivot_root', [newRoot, putOld], newRoot);
  }

  unshare(flags: number): void {
    this.post('unshare', [flags]);
  }

  setns(namespace: number, kind: number): void {
    this.post('setns', [namespace, kind]);
  }

  sethostname(name: string): void {
    this.post('sethostname', [Buffer.from(name), Buffer.byteLength(name)], name);
  }

  /** Brings the loopback of a new network namespace up: netdevice(7). It gets 127.0.0.1 and ::1 by itself. */
  bringUpLoopback(): void {
    const socket = this.call('socket', [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0]);
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write('lo', 0, IFREQ_FLAGS - 1);
    // The other flags that can be changed are for interfaces with addresses of their own, and off in a new one.
    request.writeUInt16LE(IFF_UP, IFREQ_FLAGS);
    this.post('ioctl', [socket, SIOCSIFFLAGS, request], 'lo');
    this.close(socket);
  }

  /** Starts a session without a controlling terminal. A process that leads one already is left as it is. */
  setsid(): void {
    try {
      this.call('setsid', []);
    } catch (error) {
      if (!hasErrno(error, 'EPERM')) throw error;
    }
  }

  /** The signal that the kernel sends when its parent (the thread that forked it) ends. */
  setParentDeathSignal(signal: number): void {
    this.#prctl(PR_SET_PDEATHSIG, signal);
  }

  /** Not dumpable: no core, and /proc/PID (its exe, fds, memory) opens for no one without CAP_SYS_PTRACE. */
  setDumpable(dumpable: boolean): void {
    this.#prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0);
  }

  /** Whether permitted capabilities outlive a change of ids away from root. */
  setKeepCapabilities(keep: boolean): void {
    this.#prctl(PR_SET_KEEPCAPS, keep ? 1 : 0);
  }

  /** From here on, setuid bits and file capabilities give nothing. Cannot be undone. */
  setNoNewPrivileges(): void {
    this.#prctl(PR_SET_NO_NEW_PRIVS, 1);
  }

  /** Real, effective and saved ids, supplementary groups first. */
  setIds(uid: number, gid: number, groups: readonly number[]): void {
    const list = new Uint32Array(groups);
    this.post('setgroups', [list.length, new Uint8Array(list.buffer)]);
    this.post('setresgid', [gid, gid, gid]);
    this.post('setresuid', [uid, uid, uid]);
  }

  permittedCapabilities(): bigint {
    const sets = new Output(Buffer.alloc(24));
    this.call('capget', [capabilityHeader(), sets]);
    return BigInt(sets.bytes.readUInt32LE(4)) | (BigInt(sets.bytes.readUInt32LE(16)) << 32n);
  }

  setCapabilities({ effective, permitted, inheritable }: RemoteCapabilities): void {
    const words = [effective, permitted, inheritable];
    const sets = new Uint32Array([
      ...words.map((word) => Number(word & 0xffffffffn)),
      ...words.map((word) => Number(word >> 32n)),
    ]);
    this.post('capset', [capabilityHeader(), new Uint8Array(sets.buffer)]);
  }

  /** Takes everything but `keep` out of the bounding set: no program executed later can gain it. */
  limitBoundingSet(keep: bigint): void {
    const bits = Array.from({ length: lastCapability() + 1 }, (_, bit) => bit);
    const held = this.callAll(bits.map((bit) => prctlCall(PR_CAPBSET_READ, bit)));
    for (const bit of bits) {
      if (held[bit] === 1 && !((keep >> BigInt(bit)) & 1n)) this.#prctl(PR_CAPBSET_DROP, bit);
    }
  }

  /** The ambient set: what a program executed without privilege keeps. Must be permitted and inheritable already. */
  setAmbientCapabilities(mask: bigint): void {
    this.#prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL);
    for (let bit = 0; mask >> BigInt(bit) > 0n; bit++) {
      if ((mask >> BigInt(bit)) & 1n) this.#prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, bit);
    }
  }

  setResourceLimit(resource: number, { soft, hard }: ResourceLimit): void {
    const packed = new BigUint64Array([soft, hard]);
    this.call('prlimit64', [0, resource, new Uint8Array(packed.buffer), null]);
  }

  getResourceLimit(resource: number): ResourceLimit {
    const limits = new Output(Buffer.alloc(16));
    this.call('prlimit64', [0, resource, null, limits]);
    return { soft: limits.bytes.readBigUInt64LE(0), hard: limits.bytes.readBigUInt64LE(8) };
  }

  /** Default disposition for every signal; those that were ignored would stay so over execve. */
  resetSignals(): void {
    const { SIGKILL, SIGSTOP } = constants.signals;
    for (let signal = 1; signal <= SIGNALS; signal++) {
      if (signal === SIGKILL || signal === SIGSTOP) continue;
      this.post('rt_sigaction', [signal, DEFAULT_ACTION, null, SIGNAL_SET_BYTES]);
    }
  }

  /** Keeps every signal waiting until the program that comes next asks for it, or lets it in. */
  blockSignals(): void {
    const all = new Uint8Array(SIGNAL_SET_BYTES).fill(0xff);
    this.post('rt_sigprocmask', [SIG_SETMASK, all, null, SIGNAL_SET_BYTES]);
  }

  /** `program`: struct sock_filter instructions. Needs no_new_privs, or CAP_SYS_ADMIN. */
  installFilter(program: Uint8Array): void {
    const { name, args } = filterCall(program);
    this.post(name, args);
  }

  /**
   * Becomes the program at a path, or the one that is open as a descriptor, with the filter installed just before.
   * @throws SystemCallError what the kernel says against it
   */
  become(program: string | number, args: readonly string[], env: readonly string[], filter?: Uint8Array): void {
    const [argv, envp] = [stringVector(args), stringVector(env)];
    const execute: Call =
      typeof program === 'number'
        ? { name: 'execveat', args: [program, '', argv, envp, AT_EMPTY_PATH] }
        : { name: 'execve', args: [program, argv, envp], subject: program };
    this.execute(filter ? [filterCall(filter), execute] : [execute]);
  }

  #prctl(option: number, ...values: number[]): void {
    const { name, args, subject } = prctlCall(option, ...values);
    this.post(name, args, subject);
  }
}

/** The kernel looks at all five words, whatever the option. */
function prctlCall(option: number, ...values: number[]): Call {
  const args: Argument[] = [option, ...values, 0, 0, 0, 0];
  return { name: 'prctl', args: args.slice(0, 5), subject: String(option) };
}

function filterCall(program: Uint8Array): Call {
  const fprog = (address: number): Uint8Array => {
    const head = Buffer.alloc(16);
    head.writeUInt16LE(program.length / FILTER_INSTRUCTION_BYTES, 0);
    head.writeBigUInt64LE(BigInt(address + 16), 8);
    return Buffer.concat([head, program]);
  };
  return { name: 'seccomp', args: [SECCOMP_SET_MODE_FILTER, 0, fprog] };
}

function capabilityHeader(): Uint8Array {
  return new Uint8Array(new Uint32Array([CAPABILITY_VERSION_3, 0]).buffer);
}

/** capabilities(7). */
function lastCapability(): number {
  return Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'));
}
