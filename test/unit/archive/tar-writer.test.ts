import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { type TarItem, type TarWriterOptions, writeTar } from '../../../src/archive/tar-writer.ts';
import { collect } from '../../support/collect.ts';
import { entryOf } from '../../support/layer-trees.ts';
import { readOne, readTar } from '../../support/recording-sink.ts';
import { program, requires } from '../../support/requires.ts';
import { tarEntry } from '../../support/tar-entries.ts';

const bytesOf = (entry: TarEntry): Buffer => Buffer.alloc(entry.size, 'content of a file');
const added = (entry: TarEntry): TarItem => ({ kind: 'added', entry, open: () => chunked(bytesOf(entry)) });
async function* chunked(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}
const tarOf = async (items: readonly TarItem[], options?: TarWriterOptions) =>
  Buffer.concat(await collect(writeTar(items, options)));

test('what is written is read back the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(tarEntry, { maxLength: 8 }), async (entries) => {
      const bytes = await tarOf(entries.map(added));
      assert.equal(bytes.length % 512, 0);
      const read = readTar(bytes).entries;
      assert.equal(read.length, entries.length);
      for (const [i, { entry, data }] of read.entries()) {
        const want = entries[i]!;
        const plain = (x: TarEntry) => ({
          ...x,
          dataOffset: 0,
          path: Buffer.from(x.path),
          linkname: Buffer.from(x.linkname),
          xattrs: x.xattrs.map(({ name, value }) => [Buffer.from(name).toString(), Buffer.from(value).toString('hex')]),
        });
        const link = want.type === 'hardlink' ? { linkname: entry.linkname } : {};
        assert.deepEqual(plain(entry), plain({ ...want, ...link }));
        assert.deepEqual(data, bytesOf(want));
      }
    }),
    { numRuns: 300 },
  );
});

test('GNU tar and Python read names, links, ids, times and xattrs as they were meant', async (t) => {
  if (!requires(t, program('tar'), program('python3'))) return;
  const long = `${'d'.repeat(120)}/${'e'.repeat(120)}/${'f'.repeat(150)}`;
  const bytes = await tarOf([
    added(entryOf('d', 'dir', '', { mtime: { seconds: -3, nanoseconds: 250_000_000 } })),
    added(entryOf('f', long, '5', { uid: 4_294_967_294, gid: 2_097_152 })),
    added(entryOf('l', 'link', 'x'.repeat(300))),
    added(entryOf('f', 'x', '3', { xattrs: [{ name: Buffer.from('user.a=b'), value: Buffer.from([0, 10, 255]) }] })),
    { kind: 'deleted', path: Buffer.from('dir/gone') },
    { kind: 'opaque', path: Buffer.from('dir') },
  ]);
  const listed = execFileSync('tar', ['tvf', '-', '--numeric-owner', '--full-time'], {
    input: bytes,
    env: { TZ: 'UTC' },
  });
  const lines = listed.toString().trim().split('\n');
  assert.match(lines[0]!, /^drwxr-xr-x 0\/0 +0 .* dir\/$/);
  assert.match(lines[1]!, new RegExp(`^-rw-r--r-- 4294967294/2097152 +5 .* ${long}$`));
  assert.match(lines[2]!, /link -> x{300}$/);
  assert.match(lines[4]!, /dir\/\.wh\.gone$/);
  assert.match(lines[5]!, /dir\/\.wh\.\.wh\.\.opq$/);
  const script =
    'import sys,tarfile\nfor m in tarfile.open(fileobj=sys.stdin.buffer,mode="r|"): print(m.mtime, m.size)';
  assert.match(execFileSync('python3', ['-c', script], { input: bytes }).toString(), /^-2\.75 0\n0 5\n/);
});

describe('the same changes give the same bytes', () => {
  test('whatever the driver says beside: offsets, holes, access times', async () => {
    const entry = entryOf('f', 'a', '1000');
    const data = Buffer.concat([Buffer.alloc(100), Buffer.alloc(50, 'x'), Buffer.alloc(850)]);
    const segments = [{ offset: 100, length: 50 }];
    const other = { ...entry, dataOffset: 77_824, storedSize: 50, segments, atime: { seconds: 9, nanoseconds: 9 } };
    const whole: TarItem = { kind: 'added', entry, open: () => chunked(data) };
    const sparse: TarItem = { kind: 'modified', entry: other, open: () => chunked(data.subarray(100, 150)) };
    assert.deepEqual(await tarOf([whole]), await tarOf([sparse]));
    const holes: TarItem = { kind: 'added', entry: { ...entry, storedSize: 0, segments: [] } };
    const zeros: TarItem = { kind: 'added', entry, open: () => chunked(Buffer.alloc(1000)) };
    assert.deepEqual(await tarOf([holes]), await tarOf([zeros]));
  });

  test('read as streams or at once, over the ends of the chunks that they come in', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(3000), fc.integer({ min: 200_000, max: 1_500_000 })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, async (all) => {
        const entries = all.map((size, i) => entryOf('f', `${i}`, `${size}`));
        const atOnce = entries.map((entry): TarItem => {
          const readInto = (target: Uint8Array): void => void target.set(bytesOf(entry));
          return { ...added(entry), readInto } as TarItem;
        });
        const chunks = await collect(writeTar(atOnce));
        assert.ok(Buffer.concat(chunks).equals(await tarOf(entries.map(added))));
        assert.ok(chunks.slice(0, -1).every((chunk) => chunk.length === 1024 ** 2));
      }),
      { numRuns: 50 },
    );
  });

  test('a tar of a certain content has a certain digest', async () => {
    const bytes = await tarOf([
      added(entryOf('d', 'etc')),
      added(entryOf('f', 'etc/hosts', '20', { mtime: { seconds: 1_700_000_000, nanoseconds: 5 } })),
      { kind: 'deleted', path: Buffer.from('tmp') },
    ]);
    const { digestOf } = await import('../../../src/oci/digest.ts');
    assert.equal(digestOf(bytes), 'sha256:094c4f149a2bc0421ad965d5b0208b4e17600b09a559d730aca91cf40e615cde');
  });

  test('SOURCE_DATE_EPOCH: later times become that one, earlier ones stay', async () => {
    const at = (seconds: number, nanoseconds = 0) => added(entryOf('f', 'a', '0', { mtime: { seconds, nanoseconds } }));
    const time = async (item: TarItem) => readOne(await tarOf([item], { latestTime: 1000 })).entry.mtime;
    assert.deepEqual(await time(at(2000, 5)), { seconds: 1000, nanoseconds: 0 });
    assert.deepEqual(await time(at(1000, 5)), { seconds: 1000, nanoseconds: 0 });
    assert.deepEqual(await time(at(999, 5)), { seconds: 999, nanoseconds: 5 });
  });
});

describe('refused', () => {
  test('a file that grew or shrank while it was read', async () => {
    const entry = entryOf('f', 'a', '10');
    for (const length of [0, 9, 11]) {
      const item: TarItem = { kind: 'added', entry, open: () => chunked(Buffer.alloc(length)) };
      await assert.rejects(tarOf([item]), { code: 'FAILED' });
    }
  });

  test('a name that its reader would take for a whiteout', async () => {
    for (const path of ['.wh.x', 'a/.wh.x', '.wh.d/x']) {
      await assert.rejects(tarOf([added(entryOf('f', path, '0'))]), { code: 'INVALID_ARGUMENT' });
    }
    assert.equal((await tarOf([added(entryOf('f', 'a.wh.x', '0'))])).length, 1536);
  });

  test('an aborted caller', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(tarOf([added(entryOf('f', 'a', '0'))], { signal }), { code: 'ABORTED' });
  });
});
