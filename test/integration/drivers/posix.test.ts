/**
 * What programs can count on in a mounted snapshot: the same list of calls is made in it, in an overlay that mount(8)
 * mounts over the same layers, and in a plain directory of ext4.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import type { LayerItem } from '../../../drivers/conformance/encode.ts';
import { dir, fifo, file, hardlink, symlink } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { loadDriver } from '../../../drivers/index.ts';
import { kernel, kernelFs, missing, program, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const SCRIPT = resolve(import.meta.dirname, '../../support/posix-behaviour.py');
const NEEDS = [root, program('python3'), program('setfacl'), kernelFs('overlay')];

/**
 * Where an overlay differs from other file systems (Documentation/filesystems/overlayfs.rst, "Non-standard
 * behavior"), by what the options of drivers/overlay/options.ts cost, and in that copying up is a change of ctime.
 */
const OVERLAY_DIFFERS: Readonly<Record<string, string>> = {
  // redirect_dir=nofollow: directories of lower layers cannot be renamed.
  'rename-lower-directory': "'EXDEV'",
  'rename-errors': "('EISDIR', 'ENOTDIR', 'ENOENT', 'EINVAL', 'ENOENT', 'ok', 'EXDEV')",
  // index=off: names of a lower file are two files once one of them is copied up.
  'hard-links-of-lower-files': "((True, 2), 'two+', 'two')",
  'rename-of-two-names-of-one-file': "('ok', ['h2'])",
  'mapping-made-before-the-first-write': "b'lower'",
  'times-of-lower-files':
    "{'chmod': (False, True), 'open for writing': (False, True), 'write': (True, True), 'read': (False, False)}",
  'times-of-directories':
    "{'create': (True, True), 'write': (False, True), 'unlink': (True, True), 'rename inside': (True, True), " +
    "'rename away': (True, True), 'mkdir': (True, True), 'list': (False, False), 'below': (False, True)}",
};

/**
 * What overlayfs asks of the lower inode itself, and EROFS, which is read-only, lacks: setting an ACL or the flags of
 * chattr(1), reading past the page cache (all three work once the file was copied up), and copying between file
 * systems inside the kernel (programs then read and write).
 */
const EROFS_DIFFERS: Readonly<Record<string, string>> = {
  'acl-of-lower-file': '(False, False)',
  'copy-inside-the-kernel': "'EXDEV'",
  'direct-io': "'EINVAL'",
  'immutable-and-append-only':
    "(('ENOTTY', 'ok', 'ENOENT'), ('ok', 'EPERM', 'EPERM'), ('ok', 'EPERM', 'ok', 'ok'), 'a+')",
};

function checks(): string[] {
  return execFileSync('python3', [SCRIPT, '--list']).toString().trim().split('\n');
}

/** What each check finds in its directory, in two layers. */
function layers(names: readonly string[], sleep: Uint8Array): [LayerItem[], LayerItem[]] {
  const lower = (name: string): LayerItem[] => [
    dir(name),
    file(`${name}/f`, 'replaced'),
    dir(`${name}/d`),
    file(`${name}/d/a`, 'a'),
    dir(`${name}/d/sub`),
    file(`${name}/d/sub/x`, 'x'),
    file(`${name}/h1`, 'two'),
    hardlink(`${name}/h2`, `${name}/h1`),
    symlink(`${name}/l`, 'f'),
    dir(`${name}/sticky`, { mode: 0o1777 }),
    file(`${name}/sticky/mine`, '', { uid: 1000 }),
    file(`${name}/sticky/others`, '', { uid: 2000, mode: 0o666 }),
  ];
  const upper = (name: string): LayerItem[] => [
    dir(name),
    file(`${name}/f`, 'lower', { xattrs: { 'user.lower': 'yes' } }),
    dir(`${name}/d`),
    file(`${name}/d/b`, 'b'),
    dir(`${name}/empty`),
    dir(`${name}/closed`, { mode: 0o700 }),
    dir(`${name}/sgid`, { mode: 0o2775, gid: 7 }),
    file(`${name}/secret`, 'secret', { mode: 0o600 }),
    file(`${name}/suid`, 'x', { mode: 0o4777 }),
    file(`${name}/big`, Buffer.alloc(100_000, 'b')),
    file(`${name}/program`, sleep, { mode: 0o755 }),
    fifo(`${name}/fifo`),
  ];
  return [names.flatMap(lower), names.flatMap(upper)];
}

type Answers = ReadonlyMap<string, string>;

function run(directory: string): Answers {
  const lines = execFileSync('python3', [SCRIPT, directory], { encoding: 'utf8' }).trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]));
}

/** Answers of a mounted snapshot; and, over the same layers, of what `beside` makes of them. */
async function inSnapshot(driver: string, beside?: (kit: Kit, stack: readonly string[]) => Answers | Promise<Answers>) {
  await using kit = await Kit.open(await loadDriver(driver));
  const stack = await kit.stack(...layers(checks(), readFileSync('/bin/sleep')));
  const { path } = await kit.work(stack);
  return { snapshot: run(path), other: await beside?.(kit, stack) };
}

/** The layers as mount(8) would merge them, with the kernel's own settings. */
function byMount(kit: Kit, stack: readonly string[]): Answers {
  const [upper, work, target] = [kit.path('own/upper'), kit.path('own/work'), kit.path('own/target')];
  const lowers = stack.map((id) => join(kit.directory, 'layers', id, 'diff')).join(':');
  execFileSync('mount', [
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=${lowers},upperdir=${upper},workdir=${work}`,
    target,
  ]);
  return run(target);
}

/** A copy of what the stack shows. */
async function plain(kit: Kit, stack: readonly string[]): Promise<Answers> {
  const view = await kit.mount(undefined, stack);
  const copy = kit.path('plain');
  execFileSync('cp', ['-a', `${view}/.`, copy]);
  return run(copy);
}

/** Equal, but for the checks in `differ`, which have that answer there and another one here. */
function assertAlike(found: Answers, expected: Answers | undefined, differ: Readonly<Record<string, string>>): void {
  assert.ok(found.size > 70, `${found.size} checks`);
  const others: Record<string, string | undefined> = {};
  for (const [name, answer] of Object.entries(differ)) {
    assert.equal(found.get(name), answer, name);
    others[name] = expected?.get(name);
    assert.notEqual(others[name], answer, `${name}: no difference any more`);
  }
  assert.deepEqual({ ...Object.fromEntries(found), ...others }, Object.fromEntries(expected ?? []));
}

describe('programs in a snapshot', { skip: missing(...NEEDS) }, () => {
  after(closeUnpacker);

  test('of overlayfs get the answers that an overlay of mount(8) gives', async () => {
    const { snapshot, other } = await inSnapshot('overlayfs', byMount);
    for (const [name, answer] of snapshot) assert.ok(!answer.startsWith('raised'), `${name}: ${answer}`);
    assertAlike(snapshot, other, {});
  });

  test('of overlayfs get those of ext4, but for what overlayfs documents', async () => {
    const { snapshot, other } = await inSnapshot('overlayfs', plain);
    assertAlike(snapshot, other, OVERLAY_DIFFERS);
  });

  test('of erofs get those of overlayfs, but for what a read-only lower cannot', {
    skip: missing(kernelFs('erofs'), kernel(6, 12)),
  }, async () => {
    const { snapshot } = await inSnapshot('erofs');
    const { snapshot: other } = await inSnapshot('overlayfs');
    assertAlike(snapshot, other, EROFS_DIFFERS);
  });

  test('of vfs get those of ext4', async () => {
    const { snapshot, other } = await inSnapshot('vfs', plain);
    assertAlike(snapshot, other, {});
  });

  test('the list tells file systems apart: tmpfs answers otherwise', async () => {
    using directory = tempDir('posix-tmpfs');
    const target = join(directory.path, 'tmpfs');
    mkdirSync(target);
    const { other } = await inSnapshot('vfs', async (kit, stack) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec,noswap', 'tmpfs', target]);
      try {
        execFileSync('cp', ['-a', `${await kit.mount(undefined, stack)}/.`, target]);
        return run(target);
      } finally {
        execFileSync('umount', [target]);
      }
    });
    assert.notEqual(other?.get('running-program'), undefined);
    assert.match(other?.get('running-program') ?? '', /raised PermissionError/);
  });
});
