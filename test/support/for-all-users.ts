/**
 * The sources and Node where every user gets to them. A clone often lies in root's own directory, which is closed to
 * others: then a command sees both at another place, in a mount namespace of its own.
 */
import { statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const PROJECT = join(import.meta.dirname, '../..');
/** There on every machine, and nobody's. */
const PLACE = '/mnt';

/** Shows project and Node below a new file system, and goes on with the command. */
const SHOW = `mount -t tmpfs -o mode=755 tslayer "$0" && mkdir "$0/project" && touch "$0/node" &&
  mount --bind "$1" "$0/project" && mount --bind "$2" "$0/node" && shift 2 && cd "$0/project" && exec "$@"`;

interface ForAllUsers {
  /** Words that a command begins with, run by root. */
  readonly prefix: readonly [string, ...string[]];
  readonly node: string;
  /** This directory. */
  readonly support: string;
  /** The same file of the project. */
  place(path: string): string;
}

export const forAllUsers: ForAllUsers = [PROJECT, process.execPath].every(isOpen)
  ? { prefix: ['env'], node: process.execPath, support: import.meta.dirname, place: (path) => path }
  : {
      prefix: ['unshare', '-m', 'sh', '-c', SHOW, PLACE, PROJECT, process.execPath],
      node: join(PLACE, 'node'),
      support: join(PLACE, 'project/test/support'),
      place: (path) => join(PLACE, 'project', relative(PROJECT, path)),
    };

/** Whether anybody may go through all directories above. */
function isOpen(path: string): boolean {
  const parent = dirname(path);
  return parent === path || ((statSync(parent).mode & 0o001) !== 0 && isOpen(parent));
}
