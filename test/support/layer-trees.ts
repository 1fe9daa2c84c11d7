/** Layer trees written as short lists: `['d etc', 'f etc/passwd 10', '- gone', '! opaque', 'l a b', 'h a b']`. */
import type { TarEntry } from '../../src/archive/entry.ts';
import { LayerTree } from '../../src/images/layer-tree.ts';

const TYPES = { f: 'file', d: 'directory', l: 'symlink', h: 'hardlink', c: 'char' } as const;

export function layerTree(lines: readonly string[]): LayerTree {
  const tree = new LayerTree();
  for (const line of lines) {
    const [kind = '', path = '', third = ''] = line.split(' ');
    if (kind === '-') tree.whiteout(Buffer.from(path));
    else if (kind === '!') tree.opaque(Buffer.from(path));
    else tree.entry(entryOf(kind as keyof typeof TYPES, path, third));
  }
  return tree;
}

export function entryOf(kind: keyof typeof TYPES, path: string, third = '', more: Partial<TarEntry> = {}): TarEntry {
  const isLink = kind === 'l' || kind === 'h';
  const size = kind === 'f' ? Number(third) : 0;
  return {
    type: TYPES[kind],
    path: Buffer.from(path),
    mode: kind === 'd' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    size,
    linkname: Buffer.from(isLink ? third : ''),
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: [],
    dataOffset: 0,
    storedSize: size,
    ...more,
  };
}
