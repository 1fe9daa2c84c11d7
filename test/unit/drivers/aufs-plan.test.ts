/** AUFS as data: what the driver would tell a kernel that has it. */
import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AufsDriver } from '../../../drivers/aufs/index.ts';
import { type AufsPlan, aufsMounts } from '../../../drivers/aufs/plan.ts';
import { Directories } from '../../../drivers/directories/directories.ts';
import { joinParameters, parseOptions } from '../../../src/mounts/options.ts';
import { missing, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const PLAN: AufsPlan = {
  writable: '/l/rw/diff',
  layers: [],
  xino: '/run/tslayer-aufs/rw.xino',
  acl: true,
  dirperm1: true,
  ignoreXattrErrors: false,
  lock: '/run/tslayer-aufs/lock',
};

const layers = (count: number, path = (at: number): string => `/l/${at}/diff`): string[] =>
  Array.from({ length: count }, (_, at) => path(at));

/** The strings that mount(2) gets, one a call. */
function data(plan: AufsPlan): string[] {
  return aufsMounts(plan).map((mount) => joinParameters(parseOptions(mount).parameters));
}

/** Branches in the order in which AUFS has them after all calls. */
function branchesOf(calls: readonly string[]): string[] {
  return calls.flatMap((call) => {
    const options = call.split(',');
    const list = options.find((option) => option.startsWith('br:'));
    const first = list === undefined ? [] : list.slice('br:'.length).split(':');
    return [...first, ...options.filter((option) => option.startsWith('append:')).map((option) => option.slice(7))];
  });
}

describe('the AUFS plan', () => {
  test('a writable union: the writable branch first, layers with their whiteouts', () => {
    const [mount, ...rest] = aufsMounts({ ...PLAN, layers: ['/l/2/diff', '/l/1/diff'] });
    assert.deepEqual(rest, []);
    assert.deepEqual(mount, {
      type: 'aufs',
      source: 'none',
      options: [
        'br:/l/rw/diff=rw:/l/2/diff=ro+wh:/l/1/diff=ro+wh',
        'dio',
        'xino=/run/tslayer-aufs/rw.xino',
        'acl',
        'dirperm1',
      ],
      lock: '/run/tslayer-aufs/lock',
    });
  });

  test('options that the kernel lacks, or the file system needs', () => {
    const [older] = data({ ...PLAN, acl: false, dirperm1: false, ignoreXattrErrors: true });
    assert.equal(older, 'br:/l/rw/diff=rw+icex,dio,xino=/run/tslayer-aufs/rw.xino');
    const [view] = aufsMounts({ ...PLAN, writable: undefined, layers: ['/l/1/diff'] });
    assert.equal(view?.options[0], 'ro');
  });

  test('60 branches in the first call, 60 at most in each remount', () => {
    const counts = aufsMounts({ ...PLAN, layers: layers(126) }).map(
      ({ options }) => branchesOf([options.join(',')]).length,
    );
    assert.deepEqual(counts, [60, 60, 7]);
    const remounts = aufsMounts({ ...PLAN, layers: layers(126) }).slice(1);
    assert.ok(remounts.every(({ options }) => options.includes('remount')));
  });

  test('a list of 85 branches, which panics the kernel, never gets into one call', () => {
    for (let count = 0; count <= 126; count++) {
      for (const call of data({ ...PLAN, layers: layers(count) })) assert.ok(branchesOf([call]).length <= 60);
    }
  });

  test('data over 4095 bytes, which the kernel cuts silently, is never made; every branch comes once, in order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 126 }), fc.integer({ min: 1, max: 3000 }), (count, length) => {
        const plan = { ...PLAN, layers: layers(count, (at) => `/${'p'.repeat(length)}/ä${at}`) };
        const calls = data(plan);
        for (const call of calls) assert.ok(Buffer.byteLength(call) <= 4095);
        assert.deepEqual(branchesOf(calls), ['/l/rw/diff=rw', ...plan.layers.map((path) => `${path}=ro+wh`)]);
      }),
    );
  });

  test('127 branches and no more', () => {
    assert.equal(branchesOf(data({ ...PLAN, layers: layers(126) })).length, 127);
    assert.equal(branchesOf(data({ ...PLAN, writable: undefined, layers: layers(127) })).length, 127);
    assert.throws(() => data({ ...PLAN, layers: layers(127) }), {
      code: 'UNSUPPORTED',
      message: /127 layers.* 126 below/,
    });
  });

  test('branch paths with separators, which no escape saves, are refused; other odd ones are not', () => {
    for (const bad of ['/a:b', '/a,b', '/a=rw']) {
      assert.throws(() => data({ ...PLAN, layers: [bad] }), { code: 'INVALID_ARGUMENT' });
      assert.throws(() => data({ ...PLAN, writable: bad }), { code: 'INVALID_ARGUMENT' });
      assert.throws(() => data({ ...PLAN, xino: bad }), { code: 'INVALID_ARGUMENT' });
    }
    assert.equal(data({ ...PLAN, layers: ['/with space+\\ä'] }).length, 1);
  });

  test('a path that no call has room for is refused, not cut', () => {
    assert.throws(() => data({ ...PLAN, layers: [`/${'x'.repeat(4094)}`] }), { code: 'UNSUPPORTED' });
  });
});

describe('the AUFS driver', { skip: missing(root) }, () => {
  test('cuts its stack below a layer whose root is opaque: AUFS ignores the mark there', async () => {
    using directory = tempDir('aufs');
    const driver = await openDriver(directory.path);
    for (const id of ['l1', 'l2', 'l3']) mkdirSync(join(directory.path, id, 'diff'), { recursive: true });
    writeFileSync(join(directory.path, 'l2/diff/.wh..wh.opaque'), '');
    await driver.prepare('s1', ['l3', 'l2', 'l1']);
    const [mount] = await driver.mounts('s1', ['l3', 'l2', 'l1'], {});
    const base = directory.path;
    assert.equal(mount?.options[0], `br:${base}/s1/diff=rw:${base}/l3/diff=ro+wh:${base}/l2/diff=ro+wh`);
  });

  test('views are read-only, of a snapshot too', async () => {
    using directory = tempDir('aufs');
    const driver = await openDriver(directory.path);
    await driver.prepare('l1', []);
    await driver.prepare('s1', ['l1']);
    const base = directory.path;
    const [snapshot] = await driver.mounts('s1', ['l1'], { readOnly: true });
    assert.deepEqual(snapshot?.options.slice(0, 2), ['ro', `br:${base}/s1/diff=ro+wh:${base}/l1/diff=ro+wh`]);
    const [nothing] = await driver.mounts(undefined, [], {});
    assert.deepEqual(nothing, { type: 'bind', source: `${base}/.empty`, options: ['ro'] });
  });

  test('says that it cannot shift owners', async () => {
    using directory = tempDir('aufs');
    const driver = await openDriver(directory.path);
    await assert.rejects(driver.mounts(undefined, [], { userNamespaceFd: 3 }), { code: 'UNSUPPORTED' });
  });

  test('AUFS keeps its books in a branch; changes know them from what was written', async () => {
    using directory = tempDir('aufs');
    const driver = await openDriver(directory.path);
    await driver.prepare('s1', []);
    const branch = join(directory.path, 's1/diff');
    const modeOf = (name: string): number => statSync(join(branch, name)).mode & 0o7777;
    assert.deepEqual(['.wh..wh.aufs', '.wh..wh.orph', '.wh..wh.plnk'].map(modeOf), [0o444, 0o700, 0o700]);
    assert.equal((await driver.changes('s1', [])[Symbol.asyncIterator]().next()).done, true, 'nobody has written');
    for (const written of ['.wh..wh..opq', '.wh.gone', 'file']) writeFileSync(join(branch, written), '');
    writeFileSync(join(branch, '.wh..wh.plnk/12.34'), '');
    const found: string[] = [];
    for await (const change of driver.changes('s1', [])) {
      found.push(`${change.kind} ${Buffer.from('path' in change ? change.path : change.entry.path)}`);
    }
    assert.deepEqual(found, ['modified ', 'added file']);
  });
});

async function openDriver(directory: string): Promise<AufsDriver> {
  const places = { lock: join(directory, '.lock'), xino: (name: string) => `/run/${name}.xino` };
  return new AufsDriver(await Directories.open(directory), places, { acl: true, dirperm1: true, tmpfs: false });
}
