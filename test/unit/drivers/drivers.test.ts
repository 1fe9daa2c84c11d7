/** The list of drivers: probing, choosing, and loading ones from outside. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { builtInDrivers, chooseDriver, loadDriver, probeAll, requireDriver } from '../../../drivers/index.ts';
import { missing, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const OUTSIDE = `
export const driver = {
  name: 'mine',
  summary: 'mine',
  probe: async () => ({ available: true, reason: 'always', features: { answer: 42 } }),
  open: async () => ({ name: 'mine' }),
};`;

describe('probeAll', { skip: missing(root) }, () => {
  test('tells of every driver whether it works, why, and which one is chosen; leaves nothing', async () => {
    using directory = tempDir('probe');
    const reports = await probeAll(join(directory.path, 'layers'));
    assert.deepEqual(
      reports.map(({ name }) => name),
      ['erofs', 'overlayfs', 'aufs', 'vfs'],
    );
    assert.equal(reports.filter(({ chosen }) => chosen).length, 1);
    for (const report of reports) {
      assert.ok(report.summary && report.reason && report.why, report.name);
      assert.equal(report.available, Object.keys(report.features).length > 0);
    }
    assert.deepEqual(readdirSync(join(directory.path, 'layers')), []);
  });

  test('AUFS says that the kernel has none', async (t) => {
    if (/\baufs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) {
      t.skip('this kernel has AUFS');
      return;
    }
    using directory = tempDir('probe');
    const aufs = (await probeAll(directory.path)).find(({ name }) => name === 'aufs');
    assert.equal(aufs?.available, false);
    assert.match(aufs?.reason ?? '', /the kernel has no AUFS/);
    await assert.rejects(requireDriver('aufs', directory.path), { code: 'UNSUPPORTED', message: /aufs .*no AUFS/ });
  });

  test('the driver that a store was made with may be gone: the others are told of all the same', async () => {
    using directory = tempDir('probe');
    const reports = await probeAll(directory.path, { recorded: '/nowhere/mine.js' });
    assert.equal(reports.length, 5);
    const { available, reason, chosen } = reports.at(-1)!;
    assert.deepEqual([available, chosen], [false, true]);
    assert.match(reason, /no storage driver \/nowhere\/mine.js/);
    await assert.rejects(probeAll(directory.path, { wanted: '/nowhere/mine.js' }), { code: 'NOT_FOUND' });
  });

  test('the driver that is wanted is chosen, and shown if it comes from outside', async () => {
    using directory = tempDir('probe');
    const path = join(directory.path, 'mine.mjs');
    writeFileSync(path, OUTSIDE);
    const reports = await probeAll(directory.path, { wanted: path });
    assert.deepEqual(
      reports.filter(({ chosen }) => chosen).map(({ name }) => name),
      ['mine'],
    );
    assert.equal((await chooseDriver(directory.path)).module.name, reports.find(({ available }) => available)?.name);
  });
});

describe('loadDriver', () => {
  test('loads the ones that come with tslayer', async () => {
    for (const name of builtInDrivers) assert.equal((await loadDriver(name)).name, name);
  });

  test('loads a module by its path and a package by its name', async () => {
    using directory = tempDir('outside');
    writeFileSync(join(directory.path, 'mine.mjs'), OUTSIDE);
    assert.equal((await loadDriver('./mine.mjs', directory.path)).name, 'mine');
    const packages = join(directory.path, 'node_modules/@me/driver');
    mkdirSync(packages, { recursive: true });
    writeFileSync(join(packages, 'package.json'), '{"name":"@me/driver","type":"module","exports":"./index.js"}');
    writeFileSync(join(packages, 'index.js'), OUTSIDE);
    assert.equal((await loadDriver('@me/driver', directory.path)).name, 'mine');
  });

  test('loads a package that has a module for import alone, as most have', async () => {
    using directory = tempDir('outside');
    for (const [name, exports] of Object.entries({
      one: '{"import":"./index.js"}',
      two: '{".":{"types":"./none.d.ts","import":{"default":"./index.js"}},"./sub":"./index.js"}',
    })) {
      const at = join(directory.path, 'node_modules', name);
      mkdirSync(at, { recursive: true });
      writeFileSync(join(at, 'package.json'), `{"name":"${name}","type":"module","exports":${exports}}`);
      writeFileSync(join(at, 'index.js'), OUTSIDE);
    }
    for (const name of ['one', 'two', 'two/sub']) assert.equal((await loadDriver(name, directory.path)).name, 'mine');
    await assert.rejects(loadDriver('one/sub', directory.path), { code: 'NOT_FOUND' });
  });

  test('what is no driver is refused, with a word about what is wrong', async () => {
    using directory = tempDir('outside');
    const write = (name: string, text: string): void => writeFileSync(join(directory.path, name), text);
    write('empty.mjs', '');
    write('broken.mjs', 'throw new Error("on purpose")');
    write('needy.mjs', 'import "no-such-package"');
    write('nameless.mjs', OUTSIDE.replace("name: 'mine'", "name: 'My Driver'"));
    write('posing.mjs', OUTSIDE.replaceAll("'mine'", "'overlayfs'"));
    const load = (name: string): Promise<unknown> => loadDriver(name, directory.path);
    await assert.rejects(load('./nothing.mjs'), { code: 'NOT_FOUND' });
    await assert.rejects(load('no-such-package'), { code: 'NOT_FOUND' });
    await assert.rejects(load('./empty.mjs'), { code: 'INVALID_ARGUMENT', message: /exports no storage driver/ });
    await assert.rejects(load('./broken.mjs'), { code: 'INVALID_ARGUMENT', message: /on purpose/ });
    await assert.rejects(load('./needy.mjs'), { code: 'INVALID_ARGUMENT', message: /no-such-package/ });
    await assert.rejects(load('./nameless.mjs'), { code: 'INVALID_ARGUMENT', message: /driver\.name/ });
    await assert.rejects(load('./posing.mjs'), { code: 'INVALID_ARGUMENT', message: /name overlayfs/ });
    await assert.rejects(load('https://example.org/driver.js'), { code: 'INVALID_ARGUMENT' });
  });
});
