/**
 * Real images by real counterparts: pushed by skopeo to Docker's registry, pulled, mounted and run with each driver.
 * What is mounted is what umoci unpacks, in everything that a file has; or GNU tar, where umoci gives up.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { type Finished, tslayer } from '../../support/cli.ts';
import { runProgram } from '../../support/peers.ts';
import { type DockerRegistry, startDockerRegistry } from '../../support/registry-servers.ts';
import { kernel, kernelFs, missing, program, type Requirement, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';
import { writeLayout } from './layouts.ts';
import { RECIPES, type Recipe } from './recipes.ts';

const PEERS: readonly Requirement[] = [root, program('docker-registry'), program('skopeo'), program('umoci')];

const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [kernelFs('erofs'), kernel(6, 12)],
  overlayfs: [kernelFs('overlay')],
  vfs: [],
};

const dir = tempDir('real');
let registry: DockerRegistry;
/** What umoci makes of each image; one that cannot be made fails its own tests. */
const expected = new Map<Recipe, Promise<readonly TreeRecord[]>>();

before(async () => {
  if (missing(...PEERS)) return;
  registry = await startDockerRegistry({ dir: dir.path });
  for (const recipe of RECIPES.filter(({ needs }) => !missing(...needs))) {
    const prepared = prepare(recipe);
    expected.set(recipe, prepared);
    await prepared.catch(() => undefined);
  }
});

after(async () => {
  await registry?.[Symbol.asyncDispose]();
  detachBelow(dir.path);
  dir[Symbol.dispose]();
});

/** Pushes the image, and has umoci unpack the same tars. */
async function prepare(recipe: Recipe): Promise<readonly TreeRecord[]> {
  const work = join(dir.path, recipe.name.replace(':', '-'));
  mkdirSync(work);
  const variants = recipe.make(work);
  writeLayout(join(work, 'pushed'), variants, recipe.form);
  const to = `docker://${registry.host}/${recipe.name}`;
  const source = `oci:${join(work, 'pushed')}:latest`;
  await runProgram('skopeo', ['copy', '-q', '--dest-tls-verify=false', ...recipe.push, source, to]);
  const unpack = recipe.unpackedBy === 'tar' ? unpackByTar : unpackByUmoci;
  return snapshotTree(await unpack(work, variants.at(-1)?.tars ?? []));
}

async function unpackByUmoci(work: string, tars: readonly Uint8Array[]): Promise<string> {
  // Debian's umoci knows neither zstd nor indexes.
  writeLayout(join(work, 'plain'), [{ architecture: 'amd64', tars }], 'plain');
  await runProgram('umoci', ['unpack', '--image', `${join(work, 'plain')}:latest`, join(work, 'bundle')]);
  return join(work, 'bundle/rootfs');
}

/** One over the other: for layers without whiteouts. */
async function unpackByTar(work: string, tars: readonly Uint8Array[]): Promise<string> {
  const rootfs = join(work, 'rootfs');
  mkdirSync(rootfs);
  for (const [index, tar] of tars.entries()) {
    const file = join(work, `${index}.tar`);
    writeFileSync(file, tar);
    await runProgram('tar', ['--numeric-owner', '-xpf', file, '-C', rootfs]);
  }
  return rootfs;
}

for (const [driver, needs] of Object.entries(DRIVERS)) {
  describe(`with ${driver}`, () => {
    const store = join(dir.path, driver);
    const run = (...args: string[]): Promise<Finished> => tslayer(['--root', store, '--driver', driver, ...args]);
    const said = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await run(...args);
      assert.equal(status, 0, stderr);
      return stdout;
    };

    for (const recipe of RECIPES) {
      test(`${recipe.name} is what ${recipe.unpackedBy ?? 'umoci'} unpacks, and runs`, async (t) => {
        if (!requires(t, ...PEERS, ...needs, ...recipe.needs)) return;
        const want = (await expected.get(recipe)) ?? [];
        const name = `${registry.host}/${recipe.name}`;
        assert.match(await said('pull', name), new RegExp(`^${name.replace(/:[^:]*$/, '')}@sha256:[0-9a-f]{64}\n$`));
        const mountpoint = (await said('mount', name)).trim();
        assert.deepEqual(compareTrees(want, snapshotTree(mountpoint)).slice(0, 40), []);
        await said('umount', mountpoint);
        assert.match(await said('run', '--rm', name, ...recipe.command), recipe.says);
      });
    }

    test('the store is sound, and empty when all images are gone', async (t) => {
      if (!requires(t, ...PEERS, ...needs)) return;
      assert.equal(await said('fsck'), 'clean\n');
      await said('rmi', ...(await said('images', '-q')).trim().split('\n'));
      const { images, layers, blobs } = JSON.parse(await said('df', '--json'));
      assert.deepEqual([images.length, layers.count, layers.bytes, blobs.count, blobs.bytes], [0, 0, 0, 0, 0]);
    });
  });
}
