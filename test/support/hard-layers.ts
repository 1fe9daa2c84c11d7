/** An image of three layers with everything that stacks get wrong, the hard tree below. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeHardTree } from './hard-tree.ts';
import { type TarMember, tarBytes } from './tar-bytes.ts';

/** Changes over the hard tree. Directories are named before what is in them, as every differ writes them. */
export const HARD_CHANGES: readonly TarMember[] = [
  { path: './', type: '5', mode: 0o751, mtime: 77 },
  { path: 'links', type: '5', mtime: 5 },
  { path: 'links/.wh.a' },
  { path: 'links/new', data: 'new', mtime: 6 },
  { path: 'links/newer', type: '1', link: 'links/new' },
  { path: 'names', type: '5', mtime: 7 },
  { path: 'names/.wh..wh..opq' },
  { path: 'names/only', data: 'only', mtime: 8, xattrs: { 'user.x': Buffer.from([0, 1, 255]) } },
  { path: '.wh.crowd' },
  { path: 'devices', type: '5', mtime: 9, uid: 5 },
  { path: 'devices/null', data: 'now a file', mtime: 10 },
  { path: 'attributes', type: '5', mtime: 11 },
  { path: 'attributes/inside', type: '2', link: '../names/only', mtime: 12 },
];
/** Names neither the root nor all of the directories that its files lie in. */
const MORE: readonly TarMember[] = [
  { path: 'devices/more', data: 'x', mtime: 15 },
  { path: 'owners/sticky/file', data: 'y', mtime: 16 },
  { path: 'links/.wh.b' },
  { path: 'sparse', type: '5', mtime: 13 },
  { path: 'sparse/again', data: 'x', mtime: 14, mode: 0o4711 },
];

/** The tars from the base up, made in `directory`; the base without some of its files, as `./sparse/large`. */
export function hardLayers(
  directory: string,
  { without = [] }: { readonly without?: readonly string[] } = {},
): Buffer[] {
  const source = join(directory, 'source');
  const base = join(directory, 'base.tar');
  makeHardTree(source, { crowd: 300 });
  const options = ['--format=pax', '--sparse', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  const excluded = without.map((path) => `--exclude=${path}`);
  execFileSync('tar', [...options, ...excluded, '-cf', base, '-C', source, '.'], { stdio: 'pipe' });
  return [readFileSync(base), tarBytes([...HARD_CHANGES, { path: '.wh.sparse' }]), tarBytes(MORE)];
}
