/** The AUFS driver's layers, as files: what a kernel that has AUFS would be given to mount. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { AufsDriver } from '../../../drivers/aufs/index.ts';
import type { AufsPlaces } from '../../../drivers/aufs/places.ts';
import { dir, file, opaque, whiteout } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { Directories } from '../../../drivers/directories/directories.ts';
import type { DriverModule } from '../../../drivers/driver.ts';
import { missing, root } from '../../support/requires.ts';

/** The driver as on a kernel with `dirperm1`. */
const driver: DriverModule = {
  name: 'aufs',
  summary: 'AUFS without a kernel for it',
  probe: async () => ({ available: false, reason: 'not asked', features: {} }),
  async open(directory) {
    const places: AufsPlaces = { lock: join(directory, '.lock'), xino: (name) => `/run/${name}.xino` };
    return new AufsDriver(await Directories.open(directory), places, { dirperm1: true, tmpfs: false });
  },
};

describe('layers of AUFS', { skip: missing(root) }, () => {
  after(closeUnpacker);

  test('whiteouts and opaque marks are files; a name beside its whiteout keeps the file alone', async () => {
    await using kit = await Kit.open(driver);
    const items = [
      dir('d'),
      whiteout('d/gone'),
      dir('o'),
      opaque('o'),
      whiteout('both'),
      file('both', 'x'),
      whiteout('bd'),
      dir('bd'),
    ];
    const [id] = await kit.layer(items);
    const diff = join(kit.directory, 'layers', id, 'diff');
    assert.deepEqual(readdirSync(diff).sort(), ['bd', 'both', 'd', 'o']);
    assert.deepEqual(readdirSync(join(diff, 'd')), ['.wh.gone']);
    assert.ok(lstatSync(join(diff, 'd/.wh.gone')).isFile());
    assert.deepEqual(readdirSync(join(diff, 'o')), ['.wh..wh..opq']);
    assert.deepEqual(readdirSync(join(diff, 'bd')), ['.wh..wh..opq']);
  });

  test('names that AUFS could not show are refused with the layer; whiteouts of such hide nothing', async () => {
    await using kit = await Kit.open(driver);
    await kit.layer([file('n'.repeat(242)), whiteout('w'.repeat(243))]);
    await assert.rejects(kit.layer([file('n'.repeat(243))]), { code: 'UNSUPPORTED', message: /242 bytes/ });
    await assert.rejects(kit.layer([file(`${'d'.repeat(243)}/f`)]), { code: 'UNSUPPORTED' });
  });

  test('directories that a layer implies get a branch of their looks on top', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([dir(''), dir('tmp', { mode: 0o1777 })], [file('tmp/x')]);
    const id = await kit.snapshot(stack);
    const [mount] = await kit.driver.mounts(id, stack, {});
    const branches = mount?.options[0]?.slice('br:'.length).split(':') ?? [];
    assert.equal(branches.length, 4);
    const looks = branches[1]?.replace('=ro+wh', '') ?? '';
    assert.match(looks, /\/\.looks-[0-9a-f]{32}\/diff$/);
    assert.equal(statSync(join(looks, 'tmp')).mode & 0o7777, 0o1777);
    await kit.driver.remove(id);
    assert.ok(existsSync(looks));
    await kit.driver.remove(stack[0]!);
    assert.equal(existsSync(looks), false);
  });

  test('a hidden directory is not looked through', async () => {
    await using kit = await Kit.open(driver);
    const below = [dir(''), dir('w', { mode: 0o700 }), dir('o', { mode: 0o700 })];
    const stack = await kit.stack(
      below,
      [dir(''), whiteout('w'), dir('o'), opaque('o')],
      [dir(''), file('w/x'), file('o/x')],
    );
    const [mount] = await kit.driver.mounts(await kit.snapshot(stack), stack, {});
    const looks = /(\/[^:=]*\.looks-[^:=]*)=ro/.exec(mount?.options[0] ?? '')?.[1];
    // Only `o` has a layer between that names it; nobody's looks reach through the whiteout of `w`.
    assert.deepEqual(readdirSync(looks ?? ''), ['o']);
    assert.equal(statSync(join(looks ?? '', 'o')).mode & 0o7777, 0o755);
  });
});
