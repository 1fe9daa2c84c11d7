/**
 * The system calls that a container may make by default: docker's choice. What is not named fails with EPERM: the
 * keyring, kernel modules, clocks, new mounts and namespaces, io_uring, userfaultfd and other doors to the kernel
 * that a program in a container has no business with. Some open together with the capability that guards them.
 */
import type { CapabilityName } from '../capabilities.ts';
import type { SeccompArgument, SeccompProfile, SeccompRule } from './profile.ts';

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

const FILES = `
  access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
  fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat
  fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown
  lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat
  openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat
  renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range
  syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev
  cachestat
  fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
  lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
  fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
`;

const EVENTS = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
  _newselect pipe pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4
  io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
`;

const PROCESSES = `
  capget capset execve execveat exit exit_group fork vfork wait4 waitid waitpid kill tgkill tkill pause
  getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority
  getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid getuid getuid32 getcpu
  setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32
  setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 ugetrlimit prlimit64
  ioprio_get ioprio_set pidfd_open pidfd_send_signal prctl process_mrelease times
  process_vm_readv process_vm_writev ptrace
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield
  landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
`;

const THREADS = `
  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list set_robust_list get_thread_area
  set_thread_area set_tid_address membarrier restart_syscall rseq
`;

const MEMORY = `
  brk madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal
  msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
`;

const SIGNALS = `
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
`;

const TIME = `
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64
`;

const COMMUNICATION = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
  msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
`;

const SYSTEM = 'getrandom sysinfo uname';

/** Of one architecture only; the others have no such number. */
const ARCHITECTURE = `
  arch_prctl modify_ldt arm_fadvise64_64 sync_file_range2 breakpoint cacheflush set_tls
`;

/** System calls that a capability opens. */
const BY_CAPABILITY: Readonly<Partial<Record<CapabilityName, string>>> = {
  DAC_READ_SEARCH: 'open_by_handle_at',
  SYS_ADMIN: `
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
    open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
  `,
  SYS_BOOT: 'reboot',
  SYS_CHROOT: 'chroot',
  SYS_MODULE: 'delete_module init_module finit_module',
  SYS_PACCT: 'acct',
  SYS_PTRACE: 'kcmp pidfd_getfd process_madvise',
  SYS_RAWIO: 'iopl ioperm',
  SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  SYS_TTY_CONFIG: 'vhangup',
  SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  SYSLOG: 'syslog',
  BPF: 'bpf',
  PERFMON: 'perf_event_open',
};

const ENOSYS = 38;
const EPERM = 1;
const AF_VSOCK = 40;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NEW_NAMESPACES = 0x7e020000;
/** PER_LINUX, PER_LINUX32, UNAME26 with each of them, and the question what is set. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const allowIf = (name: string, argument: SeccompArgument): SeccompRule => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args: [argument],
});

export function defaultProfile(capabilities: readonly CapabilityName[]): SeccompProfile {
  const always = [FILES, EVENTS, PROCESSES, THREADS, MEMORY, SIGNALS, TIME, COMMUNICATION, SYSTEM, ARCHITECTURE];
  const opened = capabilities.flatMap((name) => words(BY_CAPABILITY[name] ?? ''));
  const rules: SeccompRule[] = [
    { names: [...always.flatMap(words), ...opened], action: 'SCMP_ACT_ALLOW' },
    // Sockets to the hypervisor reach past every network namespace.
    allowIf('socket', { index: 0, op: 'SCMP_CMP_NE', value: AF_VSOCK }),
    ...PERSONALITIES.map((value) => allowIf('personality', { index: 0, op: 'SCMP_CMP_EQ', value })),
  ];
  if (!capabilities.includes('SYS_ADMIN')) {
    // Threads and processes, but no namespaces. clone3 hides its flags behind a pointer: ENOSYS makes libc use clone.
    rules.push(allowIf('clone', { index: 0, op: 'SCMP_CMP_MASKED_EQ', value: NEW_NAMESPACES, valueTwo: 0 }));
    rules.push({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS });
  }
  return { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: EPERM, syscalls: rules };
}
