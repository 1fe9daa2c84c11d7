/** The store is an OCI image layout: skopeo, umoci, buildah and podman read it where it lies, by the images' names. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openTslayer, type Tslayer } from '../../../src/index.ts';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { baseLayer, type ImageServer, serveImages } from '../../support/image-server.ts';
import { containersTool, runProgram } from '../../support/peers.ts';
import { program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

const dir = tempDir('neighbours');
/** buildah and podman read the path as a name, which has no upper case letters. */
const store = join(tmpdir(), `tslayer-neighbours-${randomBytes(6).toString('hex')}`);
let server: ImageServer;
let tslayer: Tslayer;
let pulled: string;
let digest: string;

before(async () => {
  server = await serveImages([
    { name: 'demo/app:1', layers: [await baseLayer()], config: { Cmd: ['cat', '/etc/os-release'] } },
  ]);
  tslayer = await openTslayer({ root: store });
  pulled = `${server.host}/demo/app:1`;
  ({ digest } = await tslayer.pull(pulled, { unpack: process.getuid?.() === 0 }));
  await tslayer.tag(pulled, 'app:3');
});

after(async () => {
  await tslayer.close();
  await server[Symbol.asyncDispose]();
  detachBelow(store);
  rmSync(store, { recursive: true, force: true });
  dir[Symbol.dispose]();
});

test('skopeo inspects by the name that was pulled and by one that was given, and copies', async (t) => {
  if (!requires(t, program('skopeo'))) return;
  for (const name of [pulled, 'docker.io/library/app:3']) {
    const { Digest } = JSON.parse(await runProgram('skopeo', ['inspect', `oci:${store}:${name}`])) as {
      Digest: string;
    };
    assert.equal(Digest, digest);
  }
  await runProgram('skopeo', ['copy', '-q', `oci:${store}:${pulled}`, `oci:${join(dir.path, 'copy')}:x`]);
  const copied = await tslayer.pull(`oci:${join(dir.path, 'copy')}:x`, { unpack: false });
  assert.equal(copied.digest, digest);
});

test('umoci lists the names, and unpacks what is mounted here', async (t) => {
  if (!requires(t, root, program('umoci'))) return;
  const listed = await runProgram('umoci', ['ls', '--layout', store]);
  assert.ok(listed.split('\n').includes(pulled) && listed.split('\n').includes('docker.io/library/app:3'), listed);
  const bundle = join(dir.path, 'bundle');
  await runProgram('umoci', ['unpack', '--image', `${store}:${pulled}`, bundle]);
  const { target } = await tslayer.mount(pulled, { readOnly: true });
  assert.deepEqual(compareTrees(snapshotTree(join(bundle, 'rootfs')), snapshotTree(target)), []);
  await tslayer.umount(target);
});

for (const tool of ['buildah', 'podman'] as const) {
  test(`${tool} takes an image out of it`, async (t) => {
    if (!requires(t, root, program(tool))) return;
    const own = join(dir.path, tool);
    mkdirSync(own);
    const run = containersTool(tool, own);
    const id = (await run('pull', '-q', `oci:${store}:${pulled}`)).trim();
    const [image] = await tslayer.images();
    assert.equal(`sha256:${id.replace('sha256:', '')}`, image?.id);
  });
}

test('nobody has changed anything', async () => {
  assert.deepEqual((await tslayer.fsck()).problems, []);
});
