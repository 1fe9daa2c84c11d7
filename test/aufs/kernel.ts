/** What AUFS alone does: its limits and its books, against the facts that the driver was written from. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { driver } from '../../drivers/aufs/index.ts';
import { dir, file, hardlink, opaque } from '../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../drivers/conformance/kit.ts';
import { branchesOf, unionIdOf, writableBranches } from '../../src/mounts/aufs-unions.ts';
import { readMountInfo } from '../../src/mounts/mountinfo.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { unmount } from '../../src/mounts/unmount.ts';
import { tempDir } from '../support/temp-dir.ts';

describe('AUFS', () => {
  after(closeUnpacker);

  test('the probe finds it and tells its features', async () => {
    await using kit = await Kit.open(driver);
    const probe = await driver.probe(join(kit.directory, 'layers'));
    assert.equal(probe.available, true, probe.reason);
    assert.equal(typeof probe.features.dirperm1, 'boolean');
  });

  test('127 branches are all there, read from sysfs', async () => {
    await using kit = await Kit.open(driver);
    let stack: string[] = [];
    for (let at = 0; at < 126; at++) stack = await kit.layer([file(`f${at}`)], stack);
    const { id, path } = await kit.work(stack);
    assert.equal(readdirSync(path).length, 126);
    const mount = readMountInfo().find(({ mountPoint }) => mountPoint === path)!;
    const union = unionIdOf(mount)!;
    const branches = branchesOf(union).map((branch) => branch.path);
    assert.deepEqual(
      branches.map((branch) => branch.replace(`${kit.directory}/layers/`, '')),
      [id, ...stack].map((layer) => `${layer}/diff`),
    );
    assert.deepEqual(writableBranches(union), branches.slice(0, 1));
  });

  test('a long directory: what does not fit into one call comes by remounts', async () => {
    await using kit = await Kit.open(driver);
    const long = kit.path(`long/${'x'.repeat(180)}/${'y'.repeat(180)}`);
    const deep = await driver.open(long);
    const mounts = await deepMounts(deep);
    assert.ok(mounts.length > 3, `${mounts.length} calls`);
    const target = kit.path('target');
    performMounts(mounts, target);
    assert.equal(readMountInfo().filter(({ mountPoint }) => mountPoint === target).length, 1);
  });

  test('a pseudo-link is whole after the unmount', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([dir('d'), file('d/a', 'x'), hardlink('d/b', 'd/a'), hardlink('c', 'd/a')]);
    const { id, path } = await kit.work(stack);
    appendFileSync(join(path, 'd/a'), '+');
    linkSync(join(path, 'c'), join(path, 'new'));
    assert.equal(readFileSync(join(path, 'd/b'), 'utf8'), 'x+');
    kit.unmount(path);
    const again = await kit.mount(id, stack);
    const inodes = ['d/a', 'd/b', 'c', 'new'].map((name) => statSync(join(again, name)).ino);
    assert.equal(new Set(inodes).size, 1);
    for (const name of ['d/a', 'd/b', 'c', 'new']) assert.equal(readFileSync(join(again, name), 'utf8'), 'x+');
  });

  test("AUFS' own files stay in the branch and out of the changes", async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a', 'x'), file('b', 'x')]);
    const { id, path } = await kit.work(stack);
    unlinkSync(join(path, 'a'));
    writeFileSync(join(path, 'new'), '');
    assert.throws(() => writeFileSync(join(path, '.wh.x'), ''), { code: 'EPERM' });
    kit.unmount(path);
    const branch = join(kit.directory, 'layers', id, 'diff');
    assert.ok(existsSync(join(branch, '.wh.a')));
    assert.ok(
      readdirSync(branch).some((name) => name.startsWith('.wh..wh.')),
      'AUFS keeps books',
    );
    assert.deepEqual(await kit.changes(id, stack), ['~ ', '- a', '+ new']);
  });

  test('what is hidden stays so where covers come in the place of layers, for want of branches', async () => {
    await using kit = await Kit.open(driver);
    const base = [dir('a'), file('a/below'), dir('d'), file('d/below'), file('kept', 'kept')];
    let stack = await kit.stack(base, [file('a', 'a file'), dir('d'), opaque('d')], [dir('a'), file('a/new')]);
    for (let at = stack.length; at < 126; at++) stack = await kit.layer([dir('a'), file(`f${at}`)], stack);
    const { id, path } = await kit.work(stack);
    assert.deepEqual([readdirSync(join(path, 'a')), readdirSync(join(path, 'd'))], [['new'], []]);
    appendFileSync(join(path, 'kept'), '+');
    await assert.rejects(kit.driver.remove(stack.at(-1)!), { code: 'IN_USE' });
    assert.deepEqual(await kit.changes(id, stack), ['~ ', '~ kept']);
  });

  test('one writable branch in two mounts, which the kernel allows, is refused', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a')]);
    const { id } = await kit.work(stack);
    await assert.rejects(kit.mount(id, stack), { code: 'IN_USE' });
  });

  test('a layer that a union shows is not removed, though no mount table names it', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a', 'x')], [file('b', 'x')]);
    const { id, path } = await kit.work(stack);
    for (const used of [...stack, id]) await assert.rejects(kit.driver.remove(used), { code: 'IN_USE' });
    assert.equal(readFileSync(join(path, 'a'), 'utf8'), 'x');
  });

  test('a pseudo-link is whole after a union was detached', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a', 'x'), hardlink('b', 'a')]);
    const { id, path } = await kit.work(stack);
    appendFileSync(join(path, 'a'), '+');
    unmount(path, { detach: true });
    const again = await kit.mount(id, stack);
    assert.equal(readFileSync(join(again, 'b'), 'utf8'), 'x+');
  });

  test('what an earlier union listed as pseudo-links is not flushed by the next one', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a', 'x'), hardlink('b', 'a'), file('c', 'x'), file('d', 'x'), file('e', 'x')]);
    const { id, path } = await kit.work(stack);
    appendFileSync(join(path, 'a'), '+');
    kit.unmount(path);
    const before = await kit.changes(id, stack);
    const branch = join(kit.directory, 'layers', id, 'diff');
    // Numbered in the order in which they are looked up: one of these has the number that `a` had.
    for (const name of ['e', 'd', 'c', 'b', 'a']) {
      const again = await kit.mount(id, stack);
      statSync(join(again, name));
      readdirSync(again);
      kit.unmount(again);
    }
    assert.deepEqual(await kit.changes(id, stack), before);
    for (const name of ['c', 'd', 'e']) assert.equal(existsSync(join(branch, name)), false, name);
  });

  test('a union of another mount namespace is in use, and its pseudo-links are among the changes', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a', 'x'), hardlink('b', 'a')]);
    const { id, path } = await kit.work(stack);
    const script = 'echo; read line; printf + >> "$1/a"; echo; read line';
    const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', path];
    const other = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(other, 'exit');
    try {
      await once(other.stdout, 'data');
      kit.unmount(path);
      other.stdin.write('\n');
      await once(other.stdout, 'data');
      await assert.rejects(kit.mount(id, stack), { code: 'IN_USE', message: /another mount namespace/ });
      for (const used of [...stack, id]) await assert.rejects(kit.driver.remove(used), { code: 'IN_USE' });
      assert.deepEqual(await kit.changes(id, stack), ['~ ', '~ a', '= b -> a']);
    } finally {
      other.stdin.end('\n');
      await ended;
    }
    const again = await kit.mount(id, stack);
    assert.equal(readFileSync(join(again, 'b'), 'utf8'), 'x+');
  });

  test('a directory whose name has white space, a backslash and UTF-8', async () => {
    await using kit = await Kit.open(driver, mkdtempSync(join(tmpdir(), 'a b\\ä-')));
    const stack = await kit.stack([file('a', 'x'), hardlink('b', 'a')]);
    const { id, path } = await kit.work(stack);
    appendFileSync(join(path, 'a'), '+');
    await assert.rejects(kit.mount(id, stack), { code: 'IN_USE' });
    await assert.rejects(kit.driver.remove(stack[0]!), { code: 'IN_USE' });
    kit.unmount(path);
    assert.equal(readFileSync(join(await kit.mount(id, stack), 'b'), 'utf8'), 'x+');
  });

  test('a directory that is reached by a symbolic link', async () => {
    using real = tempDir('aufs-real');
    const link = `${real.path}/link`;
    mkdirSync(`${real.path}/there`);
    symlinkSync('there', link);
    await using kit = await Kit.open(driver, link);
    const stack = await kit.stack([file('a', 'x'), hardlink('b', 'a')]);
    const { id, path } = await kit.work(stack);
    appendFileSync(join(path, 'a'), '+');
    await assert.rejects(kit.mount(id, stack), { code: 'IN_USE' });
    await assert.rejects(kit.driver.remove(stack[0]!), { code: 'IN_USE' });
    assert.deepEqual(await kit.changes(id, stack), ['~ ', '~ a', '= b -> a']);
  });

  test('a detached union is in use until its last user is gone', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a')]);
    const { id, path } = await kit.work(stack);
    const user = spawn('sh', ['-c', 'cd "$1" && echo && read line', 'sh', path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(user.stdout, 'data');
    unmount(path, { detach: true });
    await assert.rejects(kit.mount(id, stack), { code: 'IN_USE' });
    user.kill('SIGKILL');
    await once(user, 'exit');
    assert.ok(existsSync(join(await kit.mount(id, stack), 'a')));
  });

  test('sixteen unions are mounted one after the other, though asked for at once', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([file('a')]);
    const works = await Promise.all(Array.from({ length: 16 }, () => kit.work(stack)));
    assert.ok(works.every(({ path }) => existsSync(join(path, 'a'))));
  });
});

/** A stack of 40 empty layers, mounted writable. */
async function deepMounts(deep: Awaited<ReturnType<typeof driver.open>>): Promise<Parameters<typeof performMounts>[0]> {
  const ids = Array.from({ length: 40 }, (_, at) => `l${at}`);
  for (const id of ids) await deep.prepare(id, []);
  await deep.prepare('top', ids);
  return deep.mounts('top', ids, {});
}
