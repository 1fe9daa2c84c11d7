/** What an init process is to be born into. */

import type { Stdio } from '../streams.ts';
import { inUserNamespace } from '../user-namespace.ts';

export interface BootRequest {
  readonly stdio: Stdio;
  /** It becomes PID 1 of a new PID namespace. */
  readonly newPid: boolean;
  /** The caller's; a new one, whose ids are written when the process is ready; or that of a process. */
  readonly user: 'host' | 'new' | { readonly pid: number };
  /** Namespaces that it is born into. */
  readonly enter: readonly NamespaceFile[];
}

/** An open /proc/PID/ns file, its path, and its CLONE_NEW* flag. */
export interface NamespaceFile {
  readonly fd: number;
  readonly path: string;
  readonly flag: number;
}

/** Root of a user namespace may leave the PID namespace that it was started in, but not come back. */
export function leavesForGood({ user, newPid, enter }: BootRequest): boolean {
  return user === 'host' && (newPid || enter.length > 0) && inUserNamespace();
}
