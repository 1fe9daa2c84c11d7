/** Mounts to read from that nobody else sees, and who uses what. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Mount } from '../../../src/mounts/mount.ts';
import { readMountInfo } from '../../../src/mounts/mountinfo.ts';
import { openMounts } from '../../../src/mounts/open.ts';
import { performMounts } from '../../../src/mounts/perform.ts';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { findUser } from '../../../src/mounts/users.ts';
import { kernelFs, missing, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const skip = missing(root, kernelFs('overlay'));

function workspace(): { path: string; mount: Mount } & Disposable {
  const directory = tempDir('open');
  for (const name of ['a', 'b', 'u/diff', 'u/work', 'target', 'other']) {
    mkdirSync(join(directory.path, name), { recursive: true });
  }
  for (const name of ['a', 'b']) writeFileSync(join(directory.path, name, name), name);
  const lowers = ['a', 'b'].map((name) => `lowerdir+=${join(directory.path, name)}`);
  const upper = [`upperdir=${directory.path}/u/diff`, `workdir=${directory.path}/u/work`];
  return {
    path: directory.path,
    mount: { type: 'overlay', source: 'overlay', options: [...lowers, ...upper] },
    [Symbol.dispose]() {
      detachBelow(directory.path);
      directory[Symbol.dispose]();
    },
  };
}

describe('openMounts', { skip }, () => {
  const ways = { 'by descriptor': {}, 'attached for a moment': { mountApi: false, lowerdirAdd: false } };
  for (const [name, kernel] of Object.entries(ways)) {
    test(`shows a union without a mountpoint, until it is disposed (${name})`, () => {
      using here = workspace();
      // Of this test's: others mount, too.
      const own = () => readMountInfo().filter(({ superOptions }) => superOptions.join().includes(here.path));
      {
        using opened = openMounts([here.mount], { kernel, scratch: here.path });
        assert.deepEqual(readdirSync(`/proc/self/fd/${opened.fd}`), ['a', 'b']);
        assert.equal(readFileSync(`/proc/self/fd/${opened.fd}/b`, 'utf8'), 'b');
        assert.deepEqual(own(), []);
      }
      assert.deepEqual(
        readdirSync(here.path).filter((entry) => entry.startsWith('tslayer-view')),
        [],
      );
      // The upper directory is free again.
      performMounts([here.mount], join(here.path, 'target'));
    });
  }

  test('a failure leaves no mount and no directory', () => {
    using here = workspace();
    const options = ['lowerdir+=/nonexistent', 'lowerdir+=/nowhere'];
    const bad: Mount = { type: 'overlay', source: 'overlay', options };
    for (const kernel of [{}, { mountApi: false, lowerdirAdd: false }]) {
      assert.throws(() => openMounts([bad], { kernel, scratch: here.path }), { code: 'NOT_FOUND' });
    }
    assert.deepEqual(readdirSync(here.path).sort(), ['a', 'b', 'other', 'target', 'u']);
  });
});

describe('findUser', { skip }, () => {
  test('finds unions over a directory and bind mounts of it, and nothing alike', () => {
    using here = workspace();
    const at = (name: string): string => join(here.path, name);
    mkdirSync(at('aa'));
    assert.equal(findUser(at('a')), undefined);
    performMounts([here.mount], at('target'));
    for (const used of ['a', 'u', 'u/diff', 'u/work']) assert.equal(findUser(at(used))?.mountPoint, at('target'), used);
    assert.equal(findUser(at('aa')), undefined);
    performMounts([{ type: 'bind', source: at('aa'), options: [] }], at('other'));
    assert.equal(findUser(at('aa'))?.mountPoint, at('other'));
    assert.equal(findUser(at('b/c')), undefined);
  });

  test('finds unions whose layers have short names, and their upper directory in use', () => {
    using here = workspace();
    const layers = Array.from({ length: 140 }, (_, at) => join(here.path, `a-rather-long-name-${at}`, 'diff'));
    for (const path of layers) mkdirSync(path, { recursive: true });
    const options = [...layers.map((path) => `lowerdir+=${path}`), ...here.mount.options.slice(2)];
    const mount: Mount = { ...here.mount, options };
    const old = { kernel: { mountApi: false, lowerdirAdd: false }, scratch: here.path };
    performMounts([mount], join(here.path, 'target'), old);
    const user = findUser(join(here.path, 'a-rather-long-name-7'));
    assert.equal(user?.mountPoint, join(here.path, 'target'));
    assert.equal(user?.source, here.path);
    assert.equal(findUser(join(here.path, 'a-rather-long-name-')), undefined);
    assert.throws(() => performMounts([mount], join(here.path, 'other'), old), { code: 'IN_USE', message: /target/ });
  });

  test('one upper directory in two mounts is IN_USE', () => {
    using here = workspace();
    performMounts([here.mount], join(here.path, 'target'));
    assert.throws(() => performMounts([here.mount], join(here.path, 'other')), { code: 'IN_USE', message: /target/ });
    const view = { ...here.mount, options: here.mount.options.slice(0, 2) };
    performMounts([view], join(here.path, 'other'));
  });
});
