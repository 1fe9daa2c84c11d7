/** A stack of EROFS layers shows what umoci unpacks from an image of the same layers. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

/** Changes over the hard tree. Directories are named before what is in them, as every differ writes them. */
const CHANGES: readonly TarMember[] = [
  { path: './', type: '5', mode: 0o750, mtime: 77 },
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
  { path: '.wh.sparse' },
];
/** Names neither the root nor all of the directories that its files lie in. */
const MORE: readonly TarMember[] = [
  { path: 'devices/more', data: 'x', mtime: 15 },
  { path: 'owners/sticky/file', data: 'y', mtime: 16 },
  { path: 'links/.wh.b' },
  { path: 'sparse', type: '5', mtime: 13 },
  { path: 'sparse/again', data: 'x', mtime: 14, mode: 0o4711 },
];

test('a stack of EROFS layers shows what umoci unpacks', async (t) => {
  if (!requires(t, root, kernelFs('erofs'), kernel(6, 12), program('umoci'), program('setfacl'))) return;
  using dir = tempDir('erofs-umoci');
  makeHardTree(join(dir.path, 'source'), { crowd: 300 });
  const base = join(dir.path, 'base.tar');
  execFileSync(
    'tar',
    [
      '--format=pax',
      '--xattrs',
      '--xattrs-include=*',
      '--exclude=./sparse/large',
      '-cf',
      base,
      '-C',
      join(dir.path, 'source'),
      '.',
    ],
    {
      stdio: 'pipe',
    },
  );
  const tars = [readFileSync(base), tarBytes(CHANGES), tarBytes(MORE)];
  mkdirSync(join(dir.path, 'erofs'));
  using stack = await ErofsStack.open(join(dir.path, 'erofs'));
  const layers: string[] = [];
  for (const tar of tars) layers.unshift(await stack.layer(tar));
  const ours = snapshotTree(await stack.mount(undefined, layers, { readOnly: true }));
  const theirs = snapshotTree(unpackWithUmoci(dir.path, tars));
  assert.deepEqual(compareTrees(theirs, ours), []);
});

function unpackWithUmoci(directory: string, tars: readonly Uint8Array[]): string {
  const umoci = (...args: string[]) => execFileSync('umoci', args, { cwd: directory, stdio: 'pipe' });
  umoci('init', '--layout', 'oci');
  umoci('new', '--image', 'oci:latest');
  for (const [index, tar] of tars.entries()) {
    writeFileSync(join(directory, `${index}.tar`), tar);
    umoci('raw', 'add-layer', '--image', 'oci:latest', `${index}.tar`);
  }
  umoci('unpack', '--image', 'oci:latest', 'bundle');
  return join(directory, 'bundle/rootfs');
}
