/** A stack of EROFS layers shows what umoci unpacks from an image of the same layers. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { hardLayers } from '../../support/hard-layers.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

test('a stack of EROFS layers shows what umoci unpacks', async (t) => {
  if (!requires(t, root, kernelFs('erofs'), kernel(6, 12), program('umoci'), program('setfacl'))) return;
  using dir = tempDir('erofs-umoci');
  const tars = hardLayers(dir.path, { without: ['./sparse/large'] });
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
