/** Extraction compared with other programs: what they make of a tar as root is what the product must make of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { writeTar } from '../../../src/archive/tar-writer.ts';
import { collect } from '../../support/collect.ts';
import { Extractor } from '../../support/extract-tar.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { fixtures, fixturesDirectory, program, requires, root } from '../../support/requires.ts';
import { tarEntry } from '../../support/tar-entries.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const temp = tempDir('like-others');
const extractor = new Extractor(temp.path);
after(async () => {
  await extractor[Symbol.asyncDispose]();
  temp[Symbol.dispose]();
});

const XATTRS = ['--xattrs', '--xattrs-include=*'];

/** What GNU tar makes of it. */
function gnuTree(tar: Uint8Array): TreeRecord[] {
  const directory = extractor.newDirectory();
  execFileSync('tar', ['-xpf', '-', '--numeric-owner', '--same-owner', ...XATTRS, '-C', directory], {
    input: tar,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  return snapshotTree(directory);
}

const isRoot = ({ path }: TreeRecord): boolean => path === '';

async function same(tar: Uint8Array, expected: readonly TreeRecord[]): Promise<void> {
  for (const spelling of ['overlay', 'apply'] as const) {
    const { tree, unpacked } = await extractor.extract(tar, spelling);
    assert.deepEqual(unpacked.result.warnings, []);
    const differences = compareTrees(
      expected.filter((r) => !isRoot(r)),
      tree.filter((r) => !isRoot(r)),
    );
    assert.deepEqual(differences.slice(0, 10), [], spelling);
  }
}

test('real root file systems come out as GNU tar has them', async (t) => {
  const names = ['alpine-minirootfs-3.20.3-x86_64.tar.gz', 'busybox-glibc-amd64.tar.gz'];
  if (!requires(t, root, program('tar'), fixtures(...names))) return;
  for (const name of names) {
    const tar = gunzipSync(readFileSync(join(fixturesDirectory, name)));
    await same(tar, gnuTree(tar));
  }
});

test('a tree of everything that archives get wrong, packed in each format, comes out as it was', async (t) => {
  if (!requires(t, root, program('tar'), program('setfacl'), program('setcap'))) return;
  const tree = join(temp.path, 'tree');
  makeHardTree(tree, { crowd: 200 });
  const expected = snapshotTree(tree);
  for (const format of [
    ['--format=pax'],
    ['--format=gnu'],
    ['--format=pax', '--sparse-version=0.0'],
    ['--format=pax', '--sparse-version=0.1'],
  ]) {
    // GNU's own format holds neither xattrs nor fractions of seconds.
    const gnu = format[0] === '--format=gnu';
    const args = ['-cf', '-', '-S', '--sort=name', ...format, ...(gnu ? [] : XATTRS), '-C', tree, '.'];
    const tar = execFileSync('tar', args, { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
    if (gnu) await same(tar, gnuTree(tar));
    else await same(tar, expected);
  }
});

test('umoci unpacks the same tree', async (t) => {
  if (!requires(t, root, program('umoci'), fixtures('alpine-minirootfs-3.20.3-x86_64.tar.gz'))) return;
  const layout = join(temp.path, 'layout');
  const layer = join(temp.path, 'layer.tar');
  const tar = gunzipSync(readFileSync(join(fixturesDirectory, 'alpine-minirootfs-3.20.3-x86_64.tar.gz')));
  writeFileSync(layer, tar);
  const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: 'pipe' });
  umoci('init', '--layout', layout);
  umoci('new', '--image', `${layout}:a`);
  umoci('raw', 'add-layer', '--image', `${layout}:a`, layer);
  umoci('raw', 'unpack', '--image', `${layout}:a`, join(temp.path, 'umoci'));
  await same(tar, snapshotTree(join(temp.path, 'umoci')));
});

/** A tree that can exist: no name twice, no parent that is no directory, links to files before them. */
const trees: fc.Arbitrary<TarEntry[]> = fc.array(tarEntry, { maxLength: 20 }).map((entries) => {
  const kept = new Map<string, TarEntry>();
  const files: Uint8Array[] = [];
  for (const entry of entries) {
    const path = Buffer.from(entry.path).toString('latin1');
    const taken = [...kept.keys()].some((other) => other === path || other.startsWith(`${path}/`));
    const parents = path.split('/').map((_, i, parts) => parts.slice(0, i).join('/'));
    if (
      taken ||
      path.length > 3000 ||
      parents.some((parent) => (kept.get(parent)?.type ?? 'directory') !== 'directory')
    )
      continue;
    if (entry.type === 'file') files.push(entry.path);
    const target = files.at(-1);
    if (entry.type === 'hardlink' && target === undefined) continue;
    // user.* goes on files and directories alone, and GNU tar cannot set times beyond the file system's own.
    const xattrs = entry.type === 'file' || entry.type === 'directory' ? entry.xattrs : [];
    const mtime = { ...entry.mtime, seconds: Math.min(Math.max(entry.mtime.seconds, 1 - 2 ** 31), 2 ** 33) };
    const mode = entry.type === 'symlink' ? 0o777 : entry.mode;
    kept.set(path, { ...entry, mode, mtime, xattrs, ...(entry.type === 'hardlink' ? { linkname: target! } : {}) });
  }
  return [...kept.values()];
});

const contentOf = (entry: TarEntry): Buffer => Buffer.alloc(entry.size, Buffer.concat([entry.path, Buffer.from([7])]));

test('random trees: written, extracted, and found as they were', async (t) => {
  if (!requires(t, root)) return;
  await fc.assert(
    fc.asyncProperty(trees, async (entries) => {
      async function* content(entry: TarEntry): AsyncGenerator<Uint8Array> {
        yield contentOf(entry);
      }
      const tar = Buffer.concat(
        await collect(writeTar(entries.map((entry) => ({ kind: 'added', entry, open: () => content(entry) })))),
      );
      const { at } = await extractor.extract(tar, 'overlay');
      for (const entry of entries) {
        const found = at(Buffer.from(entry.path).toString('latin1'))!;
        const source =
          entry.type === 'hardlink' ? entries.find(({ path }) => Buffer.compare(path, entry.linkname) === 0)! : entry;
        const { mtime, xattrs } = source;
        assert.deepEqual(
          {
            type: found.type,
            mode: found.mode,
            uid: found.uid,
            gid: found.gid,
            size: found.size,
            mtime: found.mtime,
            target: found.target,
            xattrs: found.xattrs,
          },
          {
            type: source.type,
            mode: source.mode,
            uid: source.uid,
            gid: source.gid,
            size: source.size,
            mtime: `${mtime.seconds}.${String(mtime.nanoseconds).padStart(9, '0')}`,
            target: source.type === 'symlink' ? Buffer.from(source.linkname).toString('latin1') : '',
            xattrs: xattrs.map(({ name, value }) => `${Buffer.from(name)}=${Buffer.from(value).toString('hex')}`),
          },
        );
      }
    }),
    { numRuns: 60 },
  );
});
