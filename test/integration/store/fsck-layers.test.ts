/** What `fsck` finds in unpacked layers, driver by driver: each kind of damage, mended where it is and nowhere else. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  cpSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeLayer, type LayerItem } from '../../../drivers/conformance/encode.ts';
import { char, dir, fifo, file, hardlink, opaque, symlink, whiteout } from '../../../drivers/conformance/items.ts';
import type { DriverModule } from '../../../drivers/driver.ts';
import { loadDriver } from '../../../drivers/index.ts';
import { setReadOnly } from '../../../examples/btrfs-driver/subvolumes.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { type OpenStore, openStore } from '../../../src/images/store.ts';
import type { LayerRow } from '../../../src/metadata/layers.ts';
import { layerIndexPath } from '../../../src/store-layout.ts';
import { statAt } from '../../../src/sys/at.ts';
import { mknod, S_IFCHR, setTimes } from '../../../src/sys/files.ts';
import { AT_FDCWD } from '../../../src/sys/mount-api.ts';
import { removeXattr, setXattr } from '../../../src/sys/xattr.ts';
import { collect } from '../../support/collect.ts';
import { hardLayers } from '../../support/hard-layers.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { addTars } from '../../support/memory-images.ts';
import { sketchyLayer } from '../../support/random-layers.ts';
import { kernel, missing, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { driverModule, pullFrom } from '../../support/test-store.ts';

const MIB = 1024 ** 2;
const LATE = { mtime: { seconds: 1_600_000_000, nanoseconds: 5 } };

const BASE: readonly LayerItem[] = [
  dir('etc', { mode: 0o711 }),
  file('etc/motd', 'hello, world', LATE),
  dir('bin'),
  file('bin/tool', 'x'.repeat(300_000), { mode: 0o4755, uid: 5, xattrs: { 'user.k': 'value' } }),
  hardlink('bin/twin', 'bin/tool'),
  symlink('bin/sh', 'tool'),
  file('sparse', 'd'.repeat(8192), {
    size: 2 * MIB,
    segments: [
      { offset: 64 * 1024, length: 4096 },
      { offset: MIB, length: 4096 },
    ],
  }),
  char('null', 1, 3),
  fifo('queue'),
  dir('old'),
  file('old/file', 'old'),
  file('unwanted', 'unwanted'),
];
/** `etc` and `new` are implied. */
const TOP: readonly LayerItem[] = [
  file('etc/issue', 'issue'),
  file('new/file', 'new'),
  whiteout('unwanted'),
  dir('old'),
  opaque('old'),
  file('old/other', 'other'),
];

interface Kind {
  readonly skip: string | undefined;
  readonly module: () => Promise<DriverModule>;
  /** Where a layer keeps its files. */
  readonly part: string;
  /** What whiteouts and opaque directories are, where a layer holds its own files alone. */
  readonly marks?: {
    readonly whiteout: string;
    readonly unhide: (directory: string) => void;
    /** Of a directory with whiteouts, where they would be seen without it. */
    readonly filter?: string;
  };
  readonly onBtrfs?: boolean;
  /** Layers cannot be written to: takes that away, for a while. */
  readonly unlock?: (tree: string, locked: boolean) => void;
}

const KINDS: Readonly<Record<string, Kind>> = {
  overlayfs: {
    skip: missing(root),
    module: () => driverModule('overlayfs'),
    part: 'diff',
    marks: {
      whiteout: 'unwanted',
      filter: 'trusted.overlay.origin',
      unhide: (directory) => removeXattr(directory, 'trusted.overlay.opaque'),
    },
  },
  aufs: {
    skip: missing(root),
    module: () => driverModule('aufs'),
    part: 'diff',
    marks: { whiteout: '.wh.unwanted', unhide: (directory) => unlinkSync(join(directory, '.wh..wh.opaque')) },
  },
  vfs: { skip: missing(root), module: () => driverModule('vfs'), part: 'tree' },
  btrfs: {
    skip: cannotLoop('btrfs'),
    module: () => loadDriver('./examples/btrfs-driver/index.ts', resolve(import.meta.dirname, '../../..')),
    part: 'tree',
    onBtrfs: true,
    unlock: (tree, locked) => setReadOnly(tree, locked),
  },
};

/** As a disk does it: no time tells. */
function quietly(path: string, act: () => void): void {
  const { mtimeSeconds, mtimeNanoseconds } = statAt(AT_FDCWD, path)!;
  act();
  setTimes(path, mtimeSeconds, mtimeNanoseconds);
}

function putByte(path: string, at: number): void {
  quietly(path, () => {
    const fd = openSync(path, 'r+');
    writeSync(fd, 'Z', at);
    closeSync(fd);
  });
}

/** Replaces what has the name, with the times of it and its directory kept. */
function anew(tree: string, name: string, make: (path: string) => void): void {
  const path = join(tree, name);
  quietly(resolve(path, '..'), () => {
    quietly(path, () => {
      rmSync(path);
      make(path);
    });
  });
}

/** In the base layer: what is done to it, and what is said of it. */
const DAMAGES: Readonly<Record<string, readonly [(tree: string) => void, RegExp]>> = {
  'a byte of a file': [(tree) => putByte(join(tree, 'etc/motd'), 4), /"\/etc\/motd" has other bytes/],
  'the last byte of a file with two names': [
    (tree) => putByte(join(tree, 'bin/tool'), 299_999),
    /"\/bin\/t.*" has other/,
  ],
  'a byte of a sparse file': [(tree) => putByte(join(tree, 'sparse'), MIB + 7), /"\/sparse" has other bytes/],
  'a byte in a hole': [(tree) => putByte(join(tree, 'sparse'), MIB + 500_000), /"\/sparse" has other bytes/],
  'a byte in the hole at the end': [(tree) => putByte(join(tree, 'sparse'), 2 * MIB - 1), /"\/sparse" has other bytes/],
  'a shorter file': [
    (tree) => quietly(join(tree, 'etc/motd'), () => truncateSync(join(tree, 'etc/motd'), 3)),
    /"\/etc\/motd" has another size/,
  ],
  'the target of a link': [
    (tree) => anew(tree, 'bin/sh', (path) => symlinkSync('loot', path)),
    /"\/bin\/sh" has another target/,
  ],
  'a mode': [(tree) => chmodSync(join(tree, 'etc/motd'), 0o666), /"\/etc\/motd" has another mode/],
  'a directory’s mode': [(tree) => chmodSync(join(tree, 'etc'), 0o777), /"\/etc" has another mode/],
  'the root’s mode': [(tree) => chmodSync(tree, 0o777), /"\/" has another mode/],
  'an owner': [(tree) => lchownSync(join(tree, 'bin/sh'), 7, 0), /"\/bin\/sh" has another owner/],
  'a time': [(tree) => setTimes(join(tree, 'etc/motd'), 1_600_000_000, 6), /"\/etc\/motd" has another time/],
  'an xattr’s value': [
    (tree) => setXattr(join(tree, 'bin/tool'), 'user.k', Buffer.from('valve')),
    /"\/bin\/t.*" has another set of extended attributes/,
  ],
  'a missing xattr': [(tree) => removeXattr(join(tree, 'bin/tool'), 'user.k'), /"\/bin\/t.*" has another set/],
  'a surplus xattr': [
    (tree) => setXattr(join(tree, 'etc'), 'user.more', Buffer.from('x')),
    /"\/etc" has another set of extended attributes/,
  ],
  'a missing file': [
    (tree) => quietly(join(tree, 'etc'), () => unlinkSync(join(tree, 'etc/motd'))),
    /"\/etc\/motd" is gone/,
  ],
  'a missing directory': [
    (tree) => quietly(tree, () => rmSync(join(tree, 'old'), { recursive: true })),
    /"\/old" is gone/,
  ],
  'a surplus file': [
    (tree) => quietly(join(tree, 'etc'), () => writeFileSync(join(tree, 'etc/more'), '')),
    /"\/etc\/more" is not of the layer/,
  ],
  'a surplus directory': [(tree) => quietly(tree, () => mkdirSync(join(tree, 'more'))), /"\/more" is not of the layer/],
  'a file in a directory’s place': [
    (tree) =>
      quietly(tree, () => {
        rmSync(join(tree, 'old'), { recursive: true });
        writeFileSync(join(tree, 'old'), '');
      }),
    /"\/old" is a file, not a directory/,
  ],
  'a hard link that became a copy': [
    (tree) => {
      const [twin, copy] = [join(tree, 'bin/twin'), join(tree, 'copy')];
      quietly(tree, () =>
        quietly(join(tree, 'bin'), () => {
          cpSync(twin, copy, { preserveTimestamps: true });
          renameSync(copy, twin);
        }),
      );
    },
    /"\/bin\/t.*" is no link to its other names/,
  ],
  'a device’s number': [
    (tree) => anew(tree, 'null', (path) => mknod(path, S_IFCHR | 0o644, 0x104n)),
    /"\/null" has another device/,
  ],
};

for (const [name, kind] of Object.entries(KINDS)) {
  describe(`layers of ${name}`, { skip: kind.skip ?? false }, () => {
    const directory = tempDir('fsck');
    let disk: Disposable | undefined;
    let registry: LayoutRegistry;
    let store: OpenStore;

    before(async () => {
      registry = await layoutRegistry();
      const module = await kind.module();
      const loop = kind.onBtrfs ? loopFs('btrfs') : undefined;
      disk = loop;
      const where = join(loop?.path ?? directory.path, 'store');
      store = await openStore({ root: where, drivers: { choose: async () => module } });
      const tars = [BASE, TOP].map(async (items) => Buffer.concat(await collect(encodeLayer(items))));
      registry.publish({ 'app:1': addTars(registry.content, await Promise.all(tars)).root });
      await pullFrom(store, `${registry.host}/app:1`);
    });

    after(async () => {
      await store?.[Symbol.asyncDispose]();
      await registry?.[Symbol.asyncDispose]();
      disk?.[Symbol.dispose]();
      directory[Symbol.dispose]();
    });

    /** The base layer has `old/file`, or the first one whatever it has. */
    const rows = (): [base: LayerRow, top: LayerRow] => {
      const all = store.metadata.layers.list();
      const top = all.find(({ id }) => readdirSync(join(treeOf(id), 'old')).includes('other'));
      const base = all.find(({ id }) => id !== top?.id);
      assert.ok(base && top && all.length === 2);
      return [base, top];
    };
    const treeOf = (id: string) => join(store.paths.layers, id, kind.part);

    /** Damages one layer; it and only it is found, and made anew. */
    async function mends(layer: LayerRow, damage: () => void, message: RegExp): Promise<void> {
      const others = store.metadata.layers.list().filter(({ id }) => id !== layer.id);
      kind.unlock?.(treeOf(layer.id), false);
      damage();
      kind.unlock?.(treeOf(layer.id), true);
      const found = await fsck(store);
      assert.deepEqual(
        found.problems.map(({ kind, subject }) => [kind, subject]),
        [['layer', layer.key]],
        JSON.stringify(found.problems),
      );
      assert.match(found.problems[0]?.message ?? '', message);
      const requests = registry.requests.length;
      const { problems } = await fsck(store, { repair: true });
      assert.deepEqual(
        problems.map(({ subject, state, action }) => [subject, state, action]),
        [[layer.key, 'repaired', 'unpacked again from its blob']],
      );
      assert.equal(registry.requests.length, requests, 'nothing was fetched');
      const left = store.metadata.layers.list().filter(({ key }) => key !== layer.key);
      assert.deepEqual(left, others, 'the other layers are as they were');
      assert.deepEqual((await fsck(store)).problems, []);
      await checkStore(store);
    }

    test('are sound', async () => {
      assert.deepEqual((await fsck(store)).problems, []);
    });

    for (const [what, [damage, message]] of Object.entries(DAMAGES)) {
      test(`${what} is found, and mended alone`, async () => {
        const [base] = rows();
        await mends(base, () => damage(treeOf(base.id)), message);
      });
    }

    if (kind.marks) {
      const { whiteout: mark, unhide, filter } = kind.marks;
      test('a whiteout that is gone is found, and mended', async () => {
        const tree = treeOf(rows()[1].id);
        const damage = () => quietly(tree, () => unlinkSync(join(tree, mark)));
        await mends(rows()[1], damage, /"\/unwanted" is no longer hidden/);
      });

      test('an opaque directory that is none any more is found, and mended', async () => {
        const old = join(treeOf(rows()[1].id), 'old');
        await mends(rows()[1], () => quietly(old, () => unhide(old)), /"\/old" shows what layers below have in it/);
      });

      if (filter !== undefined) {
        test('a mark of whiteouts that is gone is found, and mended', async () => {
          const damage = () => removeXattr(treeOf(rows()[1].id), filter);
          await mends(rows()[1], damage, /"\/" has another mark of whiteouts/);
        });
      }

      test('a damaged note of implied directories is found, and mended', async () => {
        const note = join(store.paths.layers, rows()[1].id, 'implied');
        await mends(rows()[1], () => writeFileSync(note, '\0etc\0nev\0'), /its note of implied directories is damaged/);
      });

      test('a surplus whiteout is found, and mended', async () => {
        const tree = treeOf(rows()[1].id);
        const damage = () =>
          quietly(tree, () => linkSync(join(tree, mark), join(tree, mark.replace('unwanted', 'etc2'))));
        await mends(rows()[1], damage, /"\/etc2" is hidden, and should not be/);
      });
    } else {
      test('a byte of a lower layer’s file is found in the copy that the upper one has', async () => {
        const [, top] = rows();
        await mends(top, () => putByte(join(treeOf(top.id), 'bin/tool'), 70_000), /"\/bin\/t.*" has other bytes/);
      });

      test('what both layers have damaged is mended from below', async () => {
        for (const { id } of rows()) {
          kind.unlock?.(treeOf(id), false);
          putByte(join(treeOf(id), 'etc/motd'), 1);
        }
        const { problems } = await fsck(store, { repair: true });
        assert.deepEqual(
          problems.map(({ subject, state }) => [subject, state]),
          rows().map(({ key }) => [key, 'repaired']),
        );
        assert.deepEqual((await fsck(store)).problems, []);
        for (const { id } of rows()) assert.equal(readFileSync(join(treeOf(id), 'etc/motd'), 'utf8'), 'hello, world');
      });
    }

    test('a damaged byte is found without the list of files, by the blob', async () => {
      const [base] = rows();
      const index = layerIndexPath(store.paths, base.id);
      const damage = () => {
        truncateSync(index, statSync(index).size - 3);
        putByte(join(treeOf(base.id), 'sparse'), MIB + 7);
      };
      await mends(base, damage, /"\/sparse" has other bytes/);
    });

    test('are sound whatever is in them, one over the other', async () => {
      const random = fc.sample(sketchyLayer, { numRuns: 90, seed: 7 });
      const tars = await Promise.all(random.map(async (items) => Buffer.concat(await collect(encodeLayer(items)))));
      const stacks = [hardLayers(directory.path), ...tars.flatMap((_, at) => (at % 3 ? [] : [tars.slice(at, at + 3)]))];
      for (const [i, stack] of stacks.entries()) {
        registry.publish({ [`random:${i}`]: addTars(registry.content, stack).root });
        // Some of them no driver takes.
        await pullFrom(store, `${registry.host}/random:${i}`).catch((error) =>
          assert.match(error.code, /MALFORMED|UNSAFE|UNSUPPORTED/),
        );
      }
      assert.ok(store.metadata.layers.list().length > 40);
      assert.deepEqual((await fsck(store)).problems, []);
    });
  });
}

describe('layers of erofs', { skip: missing(root, kernel(6, 12)) ?? false }, () => {
  test('a damaged byte is found wherever it is in the file, and mended', async () => {
    using directory = tempDir('fsck');
    await using registry = await layoutRegistry();
    const module = await driverModule('erofs');
    await using store = await openStore({
      root: join(directory.path, 'store'),
      drivers: { choose: async () => module },
    });
    const small = BASE.map((item) =>
      item.kind === 'added' && item.entry.size > 1e5 ? file(item.entry.path, 'x') : item,
    );
    const tar = Buffer.concat(await collect(encodeLayer(small)));
    registry.publish({ 'app:1': addTars(registry.content, [tar]).root });
    await pullFrom(store, `${registry.host}/app:1`);
    const driver = await store.driver();
    const [row] = store.metadata.layers.list();
    assert.ok(row);
    const path = join(store.paths.layers, `${row.id}.erofs`);
    const whole = readFileSync(path);
    const metadataAt = 4096 + tar.length;
    // All that the note and the superblock say; the rest by steps.
    const isTried = (at: number): boolean =>
      at < 64 || (at >= 1024 && at < 1152) || (at < 4096 ? at % 61 === 0 : at % (at < metadataAt ? 211 : 17) === 0);
    const fd = openSync(path, 'r+');
    const missed: number[] = [];
    for (const at of whole.keys()) {
      if (!isTried(at)) continue;
      writeSync(fd, Buffer.of(whole[at]! ^ 0x40), 0, 1, at);
      if ((await driver.verify?.(row.id, { ...row, tree: () => assert.fail() })) === undefined) missed.push(at);
      writeSync(fd, whole, at, 1, at);
    }
    closeSync(fd);
    assert.deepEqual(missed, []);
    assert.deepEqual((await fsck(store)).problems, []);
    putByte(path, metadataAt + 1);
    assert.deepEqual(
      (await fsck(store, { repair: true })).problems.map(({ subject, state }) => [subject, state]),
      [[row.key, 'repaired']],
    );
    assert.deepEqual((await fsck(store)).problems, []);
  });
});
