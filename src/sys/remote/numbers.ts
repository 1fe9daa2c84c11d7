/** Numbers of the system calls that another process is asked to perform. */

export type SystemCall =
  | 'read'
  | 'write'
  | 'close'
  | 'rt_sigaction'
  | 'rt_sigprocmask'
  | 'ioctl'
  | 'socket'
  | 'recvmsg'
  | 'execve'
  | 'fcntl'
  | 'getcwd'
  | 'chdir'
  | 'fchdir'
  | 'umask'
  | 'setsid'
  | 'setgroups'
  | 'setresuid'
  | 'setresgid'
  | 'capget'
  | 'capset'
  | 'fstatfs'
  | 'pivot_root'
  | 'prctl'
  | 'mount'
  | 'umount2'
  | 'sethostname'
  | 'openat'
  | 'mkdirat'
  | 'mknodat'
  | 'fchownat'
  | 'symlinkat'
  | 'readlinkat'
  | 'faccessat'
  | 'utimensat'
  | 'unshare'
  | 'dup3'
  | 'prlimit64'
  | 'setns'
  | 'seccomp'
  | 'memfd_create'
  | 'execveat'
  | 'statx'
  | 'move_mount'
  | 'close_range'
  | 'openat2'
  | 'mount_setattr';

/** On x86-64, and on arm64 (where all newer architectures have the same). */
const NUMBERS: Readonly<Record<SystemCall, readonly [x64: number, arm64: number]>> = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  ioctl: [16, 29],
  socket: [41, 198],
  recvmsg: [47, 212],
  execve: [59, 221],
  fcntl: [72, 25],
  getcwd: [79, 17],
  chdir: [80, 49],
  fchdir: [81, 50],
  umask: [95, 166],
  setsid: [112, 157],
  setgroups: [116, 159],
  setresuid: [117, 147],
  setresgid: [119, 149],
  capget: [125, 90],
  capset: [126, 91],
  fstatfs: [138, 44],
  pivot_root: [155, 41],
  prctl: [157, 167],
  mount: [165, 40],
  umount2: [166, 39],
  sethostname: [170, 161],
  openat: [257, 56],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  fchownat: [260, 54],
  symlinkat: [266, 36],
  readlinkat: [267, 78],
  faccessat: [269, 48],
  utimensat: [280, 88],
  unshare: [272, 97],
  dup3: [292, 24],
  prlimit64: [302, 261],
  setns: [308, 268],
  seccomp: [317, 277],
  memfd_create: [319, 279],
  execveat: [322, 281],
  statx: [332, 291],
  move_mount: [429, 429],
  close_range: [436, 436],
  openat2: [437, 437],
  mount_setattr: [442, 442],
};

export function numberOf(call: SystemCall): number {
  return NUMBERS[call][process.arch === 'x64' ? 0 : 1];
}
