/** Removes what is in the way. Inside the confinement, and by descriptors: links are removed, never followed. */
import { O_DIRECTORY, O_RDONLY, openAt, rmdirAt, unlinkAt } from '../../sys/at.ts';
import { closeFd, errnos } from '../../sys/libc.ts';
import { removeFile } from '../../sys/make-files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { walkTree } from '../../sys/walk.ts';

/** Removes a name with all that is in it; true when it was a directory. */
export function removeTree(path: Uint8Array): boolean {
  if (removeFile(path) !== -errnos.EISDIR) return false;
  const fd = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    for (const visit of walkTree(fd)) {
      if (visit.parentFd === -1) continue;
      if (visit.event === 'leave') rmdirAt(visit.parentFd, visit.name);
      else if (visit.fd === -1) unlinkAt(visit.parentFd, visit.name);
    }
  } finally {
    closeFd(fd);
  }
  rmdirAt(AT_FDCWD, path);
  return true;
}
