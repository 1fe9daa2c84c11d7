/**
 * The directories that lead to an entry, where the kernel did not find them: made where they are missing, with the
 * layer's own symbolic links followed inside the layer's root, dangling ones too (`lib -> usr/lib` without
 * `usr/lib`). The slow way, taken once for each missing parent.
 */
import { TslayerError } from '../../errors.ts';
import { readlinkAt } from '../../sys/at.ts';
import { S_IFDIR, S_IFLNK } from '../../sys/files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { quote } from '../tar/bytes.ts';
import { look } from './look.ts';

/** As many as the kernel follows. */
const MAX_LINKS = 40;

/** @param make makes a directory of the layer, also in place of its whiteout; false when something else is there */
export function makeParents(path: Uint8Array, make: (directory: Uint8Array) => boolean): void {
  walk(path, components(path).slice(0, -1), (next) => {
    if (make(next)) return;
    throw new TslayerError('MALFORMED', `${quote(path)}: its parent ${quote(next)} is not a directory`);
  });
}

/** Where a directory's path leads, without links; undefined where it leads to none. */
export function realDirectory(path: Uint8Array): Uint8Array | undefined {
  let there = true;
  const found = walk(path, components(path), () => {
    there = false;
  });
  return there ? Buffer.from(found, 'latin1') : undefined;
}

/** Follows the parts from the root; `missing` is told of each that is no directory. The path that they come to. */
function walk(path: Uint8Array, parts: readonly string[], missing: (directory: Uint8Array) => void): string {
  const pending = [...parts].reverse();
  let current: string[] = [];
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '..') {
      current.pop();
      continue;
    }
    const next = Buffer.from([...current, part].join('/'), 'latin1');
    const type = look(next)?.type;
    if (type === S_IFLNK) {
      if (++links > MAX_LINKS) throw new TslayerError('UNSAFE_LAYER', `${quote(path)}: too many symbolic links`);
      const target = readlinkAt(AT_FDCWD, next);
      if (target[0] === 0x2f) current = [];
      pending.push(...components(target).reverse());
      continue;
    }
    if (type !== S_IFDIR) missing(next);
    current.push(part);
  }
  return current.join('/');
}

function components(path: Uint8Array): string[] {
  const parts = Buffer.from(path).toString('latin1').split('/');
  return parts.filter((part) => part !== '' && part !== '.');
}
