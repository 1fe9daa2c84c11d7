/** What is committed and pushed here, the other tools pull, with equal trees and digests; and what they push, we do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRegistryClient, type RegistryClient } from '../../../registry-client/index.ts';
import { commitSnapshot } from '../../../src/images/commit.ts';
import { findImage } from '../../../src/images/find.ts';
import { importTar } from '../../../src/images/import.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import { type PushResult, pushImage } from '../../../src/images/push.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { containersTool, runProgram, startContainerd, startDockerd } from '../../support/peers.ts';
import { type DockerRegistry, startDockerRegistry } from '../../support/registry-servers.ts';
import {
  fixtures,
  fixturesDirectory,
  kernel,
  program,
  type Requirement,
  requires,
  root,
} from '../../support/requires.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const FIXTURE = 'alpine-minirootfs-3.20.3-x86_64.tar.gz';
const NEEDS: readonly Requirement[] = [root, kernel(6, 12), fixtures(FIXTURE), program('docker-registry')];
const isReady = NEEDS.every((requirement) => requirement() === undefined);

/** What a program in a container does to a real root file system. */
const CHANGES = [
  'rm -r etc/apk; mkdir etc/apk; echo new > etc/apk/world; rm etc/motd; ln bin/busybox bin/linked; chmod 600 etc/shadow',
  'mkdir -p srv/app; head -c 300000 /dev/urandom > srv/app/data; ln -s ../app srv/link; chown -h 1000:1000 srv/app/data',
  'setcap cap_net_raw+ep bin/busybox 2>/dev/null || true; touch -d @1600000000.123456789 srv/app; mkfifo srv/fifo',
].join('\n');

let dir: TempDir;
let registry: DockerRegistry;
let client: RegistryClient;
let store: OpenStore;
let pushed: PushResult;
let expected: TreeRecord[];
let name = '';

before(async () => {
  if (!isReady) return;
  dir = tempDir('image-peers');
  registry = await startDockerRegistry({ dir: dir.path });
  client = createRegistryClient({ env: {}, etc: '/nonexistent' });
  store = await openTestStore({ root: join(dir.path, 'store') });
  const epoch = 1_700_000_000;
  await importTar(store, join(fixturesDirectory, FIXTURE), parseReference('localhost/alpine:1'), { epoch });
  const mount = await mountImage(store, 'localhost/alpine:1', { name: 'work' });
  execFileSync('sh', ['-ec', CHANGES], { cwd: mount.target });
  name = `${registry.host}/made/image:1`;
  const changes = ['CMD ["/bin/sh"]', 'ENV MADE=here'];
  await commitSnapshot(store, 'work', parseReference(name), { changes, epoch: 4_000_000_000 });
  await unmountImage(store, 'work');
  const look = await mountImage(store, name, { name: 'look', readOnly: true });
  expected = snapshotTree(look.target);
  await unmountImage(store, 'look');
  pushed = await pushImage(store, client, findImage(store, name));
});
after(async () => {
  if (!isReady) return;
  await client.close();
  await store[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

/** The root itself is dressed by each tool in its own way, and some make files of their own in /etc. */
function compare(path: string): void {
  const ignore = ({ path: at }: TreeRecord) => at === '';
  assert.deepEqual(
    compareTrees(
      expected.filter((record) => !ignore(record)),
      snapshotTree(path, { ignore }),
    ),
    [],
  );
}

describe('an image that was committed and pushed', () => {
  test('has its digest at the registry, and skopeo finds it whole', async (t) => {
    if (!requires(t, ...NEEDS, program('skopeo'))) return;
    const inspected = await runProgram('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`]);
    assert.equal(JSON.parse(inspected).Digest, pushed.digest);
    assert.equal(pushed.uploaded, 3);
    const copy = `oci:${join(dir.path, 'skopeo')}:1`;
    await runProgram('skopeo', ['copy', '-q', '--insecure-policy', '--src-tls-verify=false', `docker://${name}`, copy]);
    const again = await pushImage(store, client, findImage(store, name));
    assert.equal(again.status, 'present');
  });

  test('unpacks with umoci to the same tree', async (t) => {
    if (!requires(t, ...NEEDS, program('skopeo'), program('umoci'))) return;
    const layout = join(dir.path, 'umoci');
    const from = ['--src-tls-verify=false', `docker://${name}`, `oci:${layout}:1`];
    await runProgram('skopeo', ['copy', '-q', '--insecure-policy', ...from]);
    await runProgram('umoci', ['unpack', '--image', `${layout}:1`, join(dir.path, 'bundle')]);
    compare(join(dir.path, 'bundle', 'rootfs'));
  });

  test('is pulled and mounted by podman, changed, pushed, and pulled back here', async (t) => {
    if (!requires(t, ...NEEDS, program('podman'))) return;
    const podman = containersTool('podman', join(dir.path, 'podman'));
    await podman('pull', '-q', '--tls-verify=false', name);
    const digest = await podman('image', 'inspect', '--format', '{{.Digest}}', name);
    assert.equal(digest.trim(), pushed.digest);
    compare((await podman('image', 'mount', name)).trim());
    await podman('image', 'umount', '-f', name);
    const other = `${registry.host}/podman/image:1`;
    const container = (await podman('create', name, 'true')).trim();
    await podman('cp', join(dir.path, 'config.json'), `${container}:/srv/added`);
    await podman('commit', '-q', container, other);
    await podman('push', '-q', '--tls-verify=false', other);
    const pulled = await pullFrom(store, other);
    const look = await mountImage(store, other, { name: 'look', readOnly: true });
    try {
      assert.ok(snapshotTree(look.target).some((record) => record.path === 'srv/added'));
    } finally {
      await unmountImage(store, 'look');
    }
    // The same bytes go to yet another name: what it shares with others is mounted, nothing is sent.
    const destination = parseReference(`${registry.host}/podman/copy:1`);
    const copied = await pushImage(store, client, findImage(store, other), { destination });
    assert.equal(copied.digest, pulled.digest);
    assert.equal(copied.uploaded, 0);
    assert.ok(copied.mounted >= 2);
  });

  test('is used as a base by buildah', async (t) => {
    if (!requires(t, ...NEEDS, program('buildah'))) return;
    const buildah = containersTool('buildah', join(dir.path, 'buildah'));
    const container = (await buildah('from', '--tls-verify=false', name)).trim();
    compare((await buildah('mount', container)).trim());
    await buildah('umount', container);
    const environment = await buildah('inspect', '--type', 'image', '--format', '{{.OCIv1.Config.Env}}', name);
    assert.match(environment, /MADE=here/);
    await buildah('rm', '-a');
  });

  test('is pulled, unpacked and mounted by containerd', async (t) => {
    if (!requires(t, ...NEEDS, program('containerd'), program('ctr'))) return;
    await using containerd = await startContainerd(join(dir.path, 'containerd'));
    await containerd.run('images', 'pull', '--plain-http', name);
    assert.match(await containerd.run('images', 'list'), new RegExp(`${name} .*${pushed.digest}`));
    const target = join(dir.path, 'ctr-mount');
    execFileSync('mkdir', [target]);
    await containerd.run('images', 'mount', name, target);
    try {
      compare(target);
    } finally {
      await containerd.run('images', 'unmount', '--rm', target);
    }
  });

  test('is pulled by docker, with the same id and tree', async (t) => {
    if (!requires(t, ...NEEDS, program('dockerd'), program('docker'), program('containerd'))) return;
    await using dockerd = await startDockerd(join(dir.path, 'docker'));
    await dockerd.run('pull', '-q', name);
    const inspected = JSON.parse(await dockerd.run('image', 'inspect', name))[0];
    assert.equal(inspected.Id, findImage(store, name).config);
    compare(inspected.GraphDriver.Data?.Dir ?? (await vfsLayer(inspected.RootFS.Layers)));
  });
});

/** Where docker's vfs driver keeps the top layer: by its cache id. */
async function vfsLayer(diffIDs: readonly string[]): Promise<string> {
  const layers = join(dir.path, 'docker', 'data', 'image', 'vfs', 'layerdb', 'sha256');
  const found = execFileSync('grep', ['-l', diffIDs.at(-1) ?? '', '-r', layers, '--include=diff'])
    .toString()
    .trim();
  const id = execFileSync('cat', [found.replace(/diff$/, 'cache-id')])
    .toString()
    .trim();
  return join(dir.path, 'docker', 'data', 'vfs', 'dir', id);
}
