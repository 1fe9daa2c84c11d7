/** kill -9 while images are made of others, and go to other places. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { after, before } from 'node:test';
import { findImage } from '../../../src/images/find.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type RunningRegistry, serveRegistry } from '../../../src/serve/index.ts';
import { detectArchive } from '../../../src/transports/open.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { killScenes } from '../../support/kill-rig.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { program, programPath } from '../../support/requires.ts';
import type { Step } from '../../support/run-store-child.ts';
import { startStoreChild } from '../../support/run-store-child.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { testClient } from '../../support/test-store.ts';

let registry: LayoutRegistry;
let writable: RunningRegistry;
let directory: TempDir;
let image: string;
let base: string;
let newBase: string;
/** An archive of `image`, and a tar of a system that runs. */
let archive: string;
let system: string;

before(async () => {
  directory = tempDir('kill-points-made');
  registry = await layoutRegistry();
  writable = await serveRegistry({ layoutDir: `${directory.path}/writable`, writable: true });
  const lower = { 'etc/motd': 'hello' };
  const images = {
    'app:1': await addImage(registry.content, [lower, { one: '1'.repeat(5000), 'etc/motd': 'bye' }]),
    'base:1': await addImage(registry.content, [lower]),
    'base:2': await addImage(registry.content, [{ 'etc/motd': 'hello again' }]),
  };
  registry.publish(Object.fromEntries(Object.entries(images).map(([name, { root }]) => [name, root])));
  [image = '', base = '', newBase = ''] = Object.keys(images).map((name) => `${registry.host}/${name}`);
  archive = `${directory.path}/app.tar`;
  const steps: Step[] = [
    ['pull', image, { unpack: false }],
    ['save', image, 'oci-archive', archive],
  ];
  await startStoreChild({ store: { root: `${directory.path}/store` }, steps }).result;
  if (programPath('busybox') !== undefined) system = makeBusyboxTar(directory.path);
});

after(async () => {
  await registry[Symbol.asyncDispose]();
  await writable.close();
  directory[Symbol.dispose]();
});

const WRITTEN: () => readonly Step[] = () => [
  ['pull', image],
  ['mount', image, 'work'],
  ['write', 'work', 'etc/motd', 'changed'],
  ['write', 'work', 'new', 'n'.repeat(50_000)],
];

/** Each try has a repository of its own, and finds nothing there: a layout has a blob for all of its repositories. */
function destination(place: string): string {
  if (!seen.has(place)) rmSync(`${directory.path}/writable/blobs/sha256`, { recursive: true });
  mkdirSync(`${directory.path}/writable/blobs/sha256`, { recursive: true });
  seen.add(place);
  return `${writable.host}/${place.split('-').at(-1)?.toLowerCase()}/app:1`;
}

const seen = new Set<string>();

killScenes({ name: 'kill -9 while an image is made', needs: [program('busybox')] }, [
  { command: 'commit', before: WRITTEN, step: () => ['commit', 'work', 'made:1'] },
  { command: 'export of a mount', drivers: ['erofs'], before: WRITTEN, step: () => ['export', 'work'] },
  { command: 'build', before: () => [], step: () => ['build', 'made:1'] },
  { command: 'squash', before: () => [['pull', image]], step: () => ['squash', image, 'made:1'] },
  {
    command: 'rebase',
    drivers: ['erofs'],
    before: () => [
      ['pull', image],
      ['pull', base],
      ['pull', newBase],
    ],
    step: () => ['rebase', image, newBase, 'made:1'],
  },
  { command: 'import', drivers: ['erofs', 'overlayfs'], before: () => [], step: () => ['import', system, 'made:1'] },
]);

killScenes({ name: 'kill -9 while an image goes elsewhere' }, [
  { command: 'load', before: () => [['pull', newBase]], step: () => ['load', archive] },
  ...(['oci', 'oci-archive', 'docker-archive'] as const).map((format) => ({
    command: `save as ${format}`,
    drivers: ['erofs'],
    before: (): readonly Step[] => [['pull', image]],
    step: (place: string): Step => ['save', image, format, `${place}/saved`],
    check: async (_store: unknown, place: string) => {
      await using saved = await detectArchive(`${place}/saved`, {});
      assert.equal(saved.images.length, 1);
      if (format === 'oci')
        execFileSync('sh', ['-c', '! find . -name "*.partial" | grep .'], { cwd: `${place}/saved` });
    },
  })),
  {
    command: 'push',
    drivers: ['erofs'],
    before: () => [['pull', image]],
    step: (place) => ['push', image, destination(place)],
    check: async (store, place) => {
      const client = testClient();
      const there = await client.resolve(parseReference(destination(place)), {});
      await client.close();
      assert.equal(there.descriptor.digest, findImage(store, image).target);
    },
  },
]);
