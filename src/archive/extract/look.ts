/** What is there under a name. */
import { type StatAt, statAt } from '../../sys/at.ts';
import { S_IFMT } from '../../sys/files.ts';
import { errnos, hasErrno } from '../../sys/libc.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';

export interface Found extends StatAt {
  /** S_IFMT of its mode. */
  readonly type: number;
}

/** The file itself, no link followed at the end; undefined when nothing can be there. */
export function look(path: Uint8Array): Found | undefined {
  try {
    const stat = statAt(AT_FDCWD, path);
    return stat && { ...stat, type: stat.mode & S_IFMT };
  } catch (error) {
    // What should be a directory above is a file, or links to itself.
    if (hasErrno(error, 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

/** Whether a call of sys/make-files failed for want of the directories above. */
export function isMissingParent(result: number): boolean {
  return result === -errnos.ENOENT || result === -errnos.ENOTDIR || result === -errnos.ELOOP;
}
