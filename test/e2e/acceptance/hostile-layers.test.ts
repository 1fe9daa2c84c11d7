/**
 * Layers that want out of their directory, pulled with each driver: what lies outside stays as it was, and what
 * cannot be meant well is refused with one line and leaves nothing.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { PackedLayer } from '../../../scripts/demo/layout.ts';
import { exitStatusOf } from '../../../src/cli/exit-status.ts';
import { isTslayerError, openTslayer, type Tslayer } from '../../../src/index.ts';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { type ImageServer, serveImages } from '../../support/image-server.ts';
import { root as isRoot, kernel, kernelFs, type Requirement, requires } from '../../support/requires.ts';
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [kernelFs('erofs'), kernel(6, 12)],
  overlayfs: [kernelFs('overlay')],
  vfs: [],
};

interface Attack {
  /** Base first. */
  readonly layers: readonly (readonly TarMember[])[];
  /** What the one line says; without it the image is fine, and what it tried happened inside. */
  readonly refused?: RegExp;
  /** Where it ended up, and what is in it. */
  readonly inside?: readonly [path: string, content: string];
}

const dir = tempDir('hostile');
const outside = join(dir.path, 'outside');
const link: TarMember = { path: 'out', type: '2', link: outside };

const ATTACKS: Readonly<Record<string, Attack>> = {
  'a path with .. in it': { layers: [[{ path: 'a/../../../escaped', data: 'x' }]], refused: /a\/\.\./ },
  'a path that is ..': { layers: [[{ path: '..', type: '5', mode: 0o777 }]], refused: /"\.\."/ },
  'an absolute path': {
    layers: [[{ path: `${outside}/escaped`, data: 'x' }]],
    inside: [`${outside}/escaped`, 'x'],
  },
  'a file through a symbolic link': {
    layers: [[link, { path: 'out/escaped', data: 'x' }]],
    inside: [`${outside}/escaped`, 'x'],
  },
  'a file through a symbolic link of a lower layer': {
    layers: [[link], [{ path: 'out/secret', data: 'x' }]],
  },
  'a directory over a symbolic link': {
    layers: [[link, { path: 'out', type: '5', mode: 0o777, uid: 1 }, { path: 'out/secret', data: 'x' }]],
    inside: ['out/secret', 'x'],
  },
  'a hard link to a file outside': {
    layers: [[{ path: 'stolen', type: '1', link: `${outside}/secret` }]],
    refused: /secret/,
  },
  'a hard link through a symbolic link': {
    layers: [[link, { path: 'stolen', type: '1', link: 'out/secret' }]],
    refused: /secret/,
  },
  'a hard link with .. in it': {
    layers: [[{ path: 'stolen', type: '1', link: '../../../../../outside/secret' }]],
    refused: /\.\./,
  },
  'a whiteout through a symbolic link': { layers: [[link, { path: 'out/.wh.secret' }]] },
  'a whiteout through a symbolic link of a lower layer': { layers: [[link], [{ path: 'out/.wh.secret' }]] },
  'an opaque directory that is a symbolic link': { layers: [[link, { path: 'out/.wh..wh..opq' }]], refused: /out/ },
  'a whiteout of ..': { layers: [[{ path: 'a', type: '5' }], [{ path: 'a/.wh...' }]], refused: /\.wh\.\.\./ },
  'a device that hides a file of a lower layer': {
    layers: [[{ path: 'kept', data: 'x' }], [{ path: 'kept', type: '3', device: [0, 0] }]],
    refused: /kept/,
  },
};

let server: ImageServer;
let untouched: readonly TreeRecord[];

before(async () => {
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
  untouched = snapshotTree(outside);
  const images = Object.values(ATTACKS).map(({ layers }, index) => ({
    name: `attack/${index}:1`,
    layers: layers.map(packed),
  }));
  server = await serveImages(images);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  detachBelow(dir.path);
  dir[Symbol.dispose]();
});

function packed(members: readonly TarMember[]): PackedLayer {
  const tar = tarBytes(members);
  return {
    blob: gzipSync(tar),
    diffID: `sha256:${createHash('sha256').update(tar).digest('hex')}`,
    createdBy: 'somebody',
  };
}

/** Nothing came beside the stores, and what was outside is what it was. */
function assertUntouched(): void {
  assert.deepEqual(compareTrees(untouched, snapshotTree(outside)), []);
  const strangers = readdirSync(dir.path).filter((entry) => !(entry in DRIVERS) && entry !== 'outside');
  assert.deepEqual(strangers, []);
}

async function assertRefused(tslayer: Tslayer, name: string, message: RegExp): Promise<void> {
  await assert.rejects(tslayer.pull(name), (error) => {
    assert.ok(isTslayerError(error), String(error));
    assert.equal(exitStatusOf(error.code), 5);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'), error.message);
    return true;
  });
  assert.deepEqual(readdirSync(join(tslayer.root, 'blobs/sha256')), []);
}

async function assertHeldInside(tslayer: Tslayer, name: string, inside: Attack['inside']): Promise<void> {
  await tslayer.pull(name);
  const { target } = await tslayer.mount(name, { readOnly: true });
  if (inside) assert.equal(readFileSync(join(target, inside[0]), 'utf8'), inside[1]);
  await tslayer.umount(target);
  await tslayer.rmi([name]);
}

for (const [driver, needs] of Object.entries(DRIVERS)) {
  describe(`with ${driver}`, () => {
    const root = join(dir.path, driver);
    for (const [index, [what, { refused, inside }]] of Object.entries(ATTACKS).entries()) {
      test(`${what} is ${refused ? 'refused' : 'held inside'}`, async (t) => {
        if (!requires(t, isRoot, ...needs)) return;
        const name = `${server.host}/attack/${index}:1`;
        await using tslayer = await openTslayer({ root, driver });
        if (refused) await assertRefused(tslayer, name, refused);
        else await assertHeldInside(tslayer, name, inside);
        assertUntouched();
      });
    }

    test('the store is sound and empty afterwards', async (t) => {
      if (!requires(t, isRoot, ...needs)) return;
      await using tslayer = await openTslayer({ root, driver });
      assert.deepEqual((await tslayer.fsck()).problems, []);
      assert.equal((await tslayer.df()).blobs.count, 0);
    });
  });
}
