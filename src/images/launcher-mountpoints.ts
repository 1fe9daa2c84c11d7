/**
 * What the launcher makes in a container's root where the image has nothing to mount over: empty, and nobody's work. Where
 * a user's volume is mounted is told, as docker tells it.
 */
import type { Change } from '../../drivers/driver.ts';

/** Files that each container has its own of. */
const FILES: ReadonlySet<string> = new Set(['etc/hosts', 'etc/hostname', 'etc/resolv.conf']);
/** Where file systems of the kernel's are mounted, and what holds the files. */
const DIRECTORIES: ReadonlySet<string> = new Set(['dev', 'etc', 'proc', 'sys']);
/** As they are made. */
const MODE = 0o755;

/** @param changes a directory before its content */
export async function* withoutMountpoints(changes: AsyncIterable<Change>): AsyncGenerator<Change, void> {
  let held: { readonly change: Change; readonly inside: string } | undefined;
  for await (const change of changes) {
    const path = Buffer.from(change.kind === 'deleted' || change.kind === 'opaque' ? change.path : change.entry.path);
    const name = path.toString('latin1');
    if (isEmptyFile(change, name)) continue;
    // It holds something of the program's.
    if (held && name.startsWith(held.inside)) yield held.change;
    held = isPlainDirectory(change, name) ? { change, inside: `${name}/` } : undefined;
    if (!held) yield change;
  }
}

function isEmptyFile(change: Change, path: string): boolean {
  return change.kind === 'added' && FILES.has(path) && change.entry.type === 'file' && change.entry.size === 0;
}

function isPlainDirectory(change: Change, path: string): boolean {
  if (change.kind !== 'added' || !DIRECTORIES.has(path)) return false;
  return change.entry.type === 'directory' && change.entry.mode === MODE;
}
