/** What a crash leaves of a container goes with its row: by whoever removes it by name, and by the next sweep. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { createContainer } from '../../../src/containers/create.ts';
import { removeContainer, sweepContainers } from '../../../src/containers/remove.ts';
import { buildImage } from '../../../src/images/build.ts';
import { dropRootfs } from '../../../src/images/container-rootfs.ts';
import { openTslayer } from '../../../src/index.ts';
import { ContainerStore } from '../../../src/launch/container-store.ts';
import { createLauncher } from '../../../src/launch/create-launcher.ts';
import { buildSpec } from '../../../src/launch/index.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { lock } from '../../../src/sys/locks.ts';
import { requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

/** A container as a killed `rm` leaves it: without its record, but with its directory and its row. */
async function halfRemoved(t: TestContext) {
  const directory = tempDir('container-remains');
  t.after(() => directory[Symbol.dispose]());
  const at = { root: `${directory.path}/store`, driver: 'vfs' };
  const containers = new ContainerStore(at.root);
  let id: string;
  {
    await using maker = await openTestStore(at);
    await buildImage(maker, parseReference('image:1'), { layers: [{ files: { one: '1' } }] });
    const spec = await createContainer(maker, 'image:1', { run: { command: ['true'], name: 'box' }, remove: false });
    (await containers.add(spec))[Symbol.dispose]();
    id = spec.id;
  }
  const { base, config } = containers.paths(id);
  rmSync(config);
  const left = async (): Promise<unknown> => {
    await using store = await openTestStore(at);
    return { directory: existsSync(base), rows: store.metadata.containers.list().map((row) => row.name) };
  };
  assert.deepEqual(await left(), { directory: true, rows: ['box'] });
  return { at, containers, launcher: createLauncher({ root: at.root }), left };
}

const NOTHING = { directory: false, rows: [] };

describe('a container that was half removed', { concurrency: false }, () => {
  test('goes when its removal is repeated', async (t) => {
    if (!requires(t, root)) return;
    const { at, launcher, left } = await halfRemoved(t);
    {
      await using store = await openTestStore(at);
      await removeContainer(store, launcher, 'box');
    }
    assert.deepEqual(await left(), NOTHING);
  });

  test('goes with the next sweep, also while others add containers', async (t) => {
    if (!requires(t, root)) return;
    const { at, containers, launcher, left } = await halfRemoved(t);
    {
      await using store = await openTestStore(at);
      const adding = await lock(`${containers.directory}/.lock`);
      const swept = sweepContainers(store, launcher);
      setTimeout(() => adding[Symbol.dispose](), 100);
      await swept;
    }
    assert.deepEqual(await left(), NOTHING);
  });

  test('goes for several who take it away at the same time', async (t) => {
    if (!requires(t, root)) return;
    const { at, launcher, left } = await halfRemoved(t);
    {
      await using store = await openTestStore(at);
      const [row] = store.metadata.containers.list();
      await launcher.clear(row!.id);
      await Promise.all([1, 2, 3].map(() => dropRootfs(store, row!.id)));
    }
    assert.deepEqual(await left(), NOTHING);
  });

  test('goes with gc, and stays in a dry run', async (t) => {
    if (!requires(t, root)) return;
    const { at, left } = await halfRemoved(t);
    await using tslayer = await openTslayer(at);
    await tslayer.gc({ dryRun: true });
    assert.deepEqual(await left(), { directory: true, rows: ['box'] });
    await tslayer.gc();
    assert.deepEqual(await left(), NOTHING);
  });

  test('goes when a power loss has cut its record short', async (t) => {
    if (!requires(t, root)) return;
    const { at, containers, launcher, left } = await halfRemoved(t);
    const [id = ''] = containers.ids();
    writeFileSync(containers.paths(id).config, '');
    {
      await using store = await openTestStore(at);
      await sweepContainers(store, launcher);
    }
    assert.deepEqual(await left(), NOTHING);
  });

  test('is not taken for one that is being made', async (t) => {
    if (!requires(t, root)) return;
    const { containers, launcher } = await halfRemoved(t);
    const config = { platform: { os: 'linux', architecture: process.arch }, config: {}, diffIDs: [], history: [] };
    const options = { command: ['true'] };
    const spec = buildSpec({ id: 'a'.repeat(12), image: 'image', config, rootfs: [], options });
    (await containers.add(spec))[Symbol.dispose]();
    await assert.rejects(launcher.clear(spec.id), { code: 'IN_USE' });
    assert.notEqual(containers.read(spec.id), undefined);
  });
});
