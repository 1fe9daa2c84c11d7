/** `--userns auto`: no two containers of a store have an id of the host in common, whoever makes them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createContainer } from '../../../src/containers/create.ts';
import { buildImage } from '../../../src/images/build.ts';
import { dropRootfs } from '../../../src/images/container-rootfs.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { localHost } from '../../../src/launch/host.ts';
import { RANGE_SIZE } from '../../../src/launch/options/id-ranges.ts';
import type { ContainerSpec } from '../../../src/launch/spec.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const AT_ONCE = 6;

function create(store: OpenStore, userns: string): Promise<ContainerSpec> {
  return createContainer(store, 'image:1', { run: { command: ['true'], userns }, remove: false });
}

const firstId = ({ userNamespace }: ContainerSpec) => userNamespace?.uids[0]?.hostID;

describe('ids of the host', { concurrency: false }, () => {
  test('are given to one container each, and again when it is gone', async (t) => {
    if (!requires(t, root)) return;
    using directory = tempDir('id-ranges');
    const at = { root: `${directory.path}/store`, driver: 'vfs' };
    await using one = await openTestStore(at);
    await buildImage(one, parseReference('image:1'), { layers: [{ files: { one: '1' } }] });
    // As another process would have it.
    await using other = await openTestStore(at);
    const all = localHost.automaticRanges();
    const count = Math.max(1, Math.floor(all.size / RANGE_SIZE));
    const specs = await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count) }, (_, i) => create(i % 2 === 0 ? one : other, 'auto')),
    );
    assert.equal(new Set(specs.map(firstId)).size, specs.length);
    for (const { userNamespace } of specs) assert.equal(userNamespace?.uids[0]?.size, Math.min(all.size, RANGE_SIZE));
    const [first, second] = specs;
    await dropRootfs(one, (second ?? first!).id);
    assert.equal(firstId(await create(other, 'auto')), firstId(second ?? first!));
  });

  test('that a container was given by hand are not given to another', async (t) => {
    if (!requires(t, root)) return;
    using directory = tempDir('id-ranges');
    await using store = await openTestStore({ root: `${directory.path}/store`, driver: 'vfs' });
    await buildImage(store, parseReference('image:1'), { layers: [{ files: { one: '1' } }] });
    const { uid, gid, size } = localHost.automaticRanges();
    assert.equal(firstId(await create(store, `${uid + 5}:${gid + 5}:10`)), uid + 5);
    const shared = size < 2 * RANGE_SIZE;
    assert.equal(firstId(await create(store, 'auto')), shared ? uid : uid + RANGE_SIZE);
  });
});
