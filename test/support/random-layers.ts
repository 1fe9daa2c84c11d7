/** Random changesets over few names, so that layers hide, replace and extend each other all the time. */
import fc from 'fast-check';
import type { LayerItem } from '../../drivers/conformance/encode.ts';
import {
  type Attributes,
  dir,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
} from '../../drivers/conformance/items.ts';

const DIRECTORIES = ['d', 'e', 'd/s', 'd/s/t', 'e/s', 'n'];
const LEAVES = ['x', 'y', 'z'];

const attributes = fc.record(
  {
    mode: fc.constantFrom(0o644, 0o4755, 0o600, 0o1777),
    uid: fc.constantFrom(0, 1000),
    gid: fc.constantFrom(0, 7),
    mtime: fc.record({ seconds: fc.integer({ min: -5, max: 2 ** 33 }), nanoseconds: fc.nat(999_999_999) }),
    xattrs: fc.constantFrom({}, { 'user.k': 'v' }, { 'user.k': 'w', 'trusted.t': '' }),
  },
  { requiredKeys: ['mode', 'mtime'] },
) as fc.Arbitrary<Attributes>;

const directory = fc.constantFrom(...DIRECTORIES);
const place = fc.constantFrom('', ...DIRECTORIES.map((path) => `${path}/`));
const leaf = fc.tuple(place, fc.constantFrom(...LEAVES)).map(([where, name]) => where + name);

const fileIn = fc.tuple(leaf, fc.string({ maxLength: 9 }), attributes).map(([p, c, a]) => file(p, c, a));
const directoryItem = fc.tuple(directory, attributes).map(([p, a]) => dir(p, { ...a, mode: (a.mode ?? 0) | 0o111 }));
const common: fc.WeightedArbitrary<LayerItem>[] = [
  { weight: 4, arbitrary: fileIn },
  { weight: 4, arbitrary: directoryItem },
  { weight: 1, arbitrary: fc.tuple(leaf, fc.constantFrom('x', '../y', '/nowhere')).map(([p, t]) => symlink(p, t)) },
  { weight: 1, arbitrary: leaf.map((p) => fifo(p)) },
  { weight: 1, arbitrary: leaf.map((p) => whiteout(p)) },
  { weight: 1, arbitrary: directory.map((p) => opaque(p)) },
];
const replacing: fc.WeightedArbitrary<LayerItem>[] = [
  { weight: 1, arbitrary: directory.map((p) => whiteout(p)) },
  { weight: 1, arbitrary: fc.tuple(directory, attributes).map(([p, a]) => file(p, 'instead of a directory', a)) },
];

/** Layers that name every directory they have something in, as most tools write them; anything may replace anything. */
export const completeLayer: fc.Arbitrary<readonly LayerItem[]> = layerOf(fc.oneof(...common, ...replacing)).map(
  nameParents,
);

/**
 * Paths below what is a file, a link or nothing in this layer or another. Directories are only implied there:
 * extraction keeps their times by name until the end, and loses that of one named through a link that is replaced.
 */
const below: fc.Arbitrary<string> = fc
  .tuple(leaf, fc.constantFrom(...LEAVES))
  .map(([where, name]) => `${where}/${name}`);
const targets = fc.constantFrom('d', '/e', '../d/s', 'x', '/n/new');
const led: fc.WeightedArbitrary<LayerItem>[] = [
  { weight: 2, arbitrary: fc.tuple(leaf, targets).map(([p, t]) => symlink(p, t)) },
  { weight: 2, arbitrary: fc.tuple(below, attributes).map(([p, a]) => file(p, 'below', a)) },
  { weight: 1, arbitrary: below.map((p) => whiteout(p)) },
];

/** Layers that only imply most directories, over anything, and go through links of theirs. */
export const sketchyLayer: fc.Arbitrary<readonly LayerItem[]> = layerOf(fc.oneof(...common, ...replacing, ...led));

/** Items in any order, some hard links to files that came before. */
function layerOf(item: fc.Arbitrary<LayerItem>): fc.Arbitrary<readonly LayerItem[]> {
  const links = fc.array(fc.tuple(leaf, fc.nat(20)), { maxLength: 2 });
  return fc.tuple(fc.array(item, { maxLength: 10 }), links).map(([items, choices]) => withLinks(items, choices));
}

function pathOf(entry: LayerItem): string {
  return Buffer.from(entry.kind === 'deleted' || entry.kind === 'opaque' ? entry.path : entry.entry.path).toString();
}

function nameParents(items: readonly LayerItem[]): LayerItem[] {
  return items.flatMap((entry) => {
    const parts = pathOf(entry).split('/').slice(0, -1);
    return [...parts.map((_, at) => dir(parts.slice(0, at + 1).join('/'))), entry];
  });
}

function withLinks(items: readonly LayerItem[], links: readonly (readonly [string, number])[]): LayerItem[] {
  const result = [...items];
  for (const [path, choice] of links) {
    const files = result.filter((entry) => entry.kind === 'added' && entry.entry.type === 'file');
    const target = files[choice % Math.max(1, files.length)];
    if (target?.kind === 'added') result.push(hardlink(path, target.entry.path));
  }
  return result;
}

export function showItem(entry: LayerItem): string {
  if (entry.kind === 'deleted' || entry.kind === 'opaque') return `${entry.kind} ${Buffer.from(entry.path)}`;
  return `${entry.entry.type} ${Buffer.from(entry.entry.path)} ${Buffer.from(entry.entry.linkname)}`.trim();
}
