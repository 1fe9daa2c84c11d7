/** Makes a second tree of the same files: directories anew, with all their attributes, and links of everything else. */
import { chmodFd, chownFd, linkAt, mkdirAt, openDirectoryAt, setTimesOf } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { type Visit, walkTree } from '../../src/sys/walk.ts';
import { copyXattrs } from './copy-file.ts';

/** Both are open directories of one file system, the second one empty. Also what drivers write for themselves is kept. */
export function linkTree(sourceFd: number, targetFd: number): void {
  const targets = [targetFd];
  try {
    for (const visit of walkTree(sourceFd)) {
      const into = targets.at(-1)!;
      if (visit.event === 'leave') {
        dress(into, visit);
        if (visit.parentFd !== -1) closeFd(targets.pop()!);
      } else if (visit.fd === -1) linkAt(visit.parentFd, visit.name, into, visit.name);
      else if (visit.parentFd !== -1) {
        mkdirAt(into, visit.name);
        targets.push(openDirectoryAt(into, visit.name));
      }
    }
  } finally {
    for (const fd of targets.slice(1)) closeFd(fd);
  }
}

/** Times come last: everything made inside has changed them. */
function dress(fd: number, { fd: model, stat }: Visit): void {
  chownFd(fd, stat.uid, stat.gid);
  copyXattrs(model, fd);
  chmodFd(fd, stat.mode & 0o7777);
  setTimesOf(fd, stat.mtimeSeconds, stat.mtimeNanoseconds);
}
