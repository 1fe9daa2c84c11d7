/**
 * Seccomp profiles: which system calls a container may make. The shape is that of docker's profile files, whose
 * conditions (`includes`, `excludes`) depend on capabilities and are resolved before compiling.
 */

export type SeccompAction =
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_TRAP';

export type SeccompOperator =
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_MASKED_EQ';

/** A condition on one argument; MASKED_EQ reads `(argument & value) == valueTwo`. */
export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: SeccompOperator;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  /** All must hold. */
  readonly args?: readonly SeccompArgument[];
}

/** A resolved profile: no conditions left, and plain JSON. The OCI specification's `linux.seccomp` has this shape. */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  /** SCMP_ARCH_*; absent: the host's own. */
  readonly architectures?: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}
