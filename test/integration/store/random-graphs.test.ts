/**
 * Stores of rows at random: images that share blobs and layers in every way (indexes, several names, blobs that are not
 * stored, orphans, pins, snapshots). What `df` and `gc --dry-run` say of them is computed here again, from the rows one
 * by one and with nothing of theirs.
 */
import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { diskUsage } from '../../../src/images/df.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { chainID } from '../../../src/oci/chain-id.ts';
import { asDiffID, type ChainID, type Digest, digestOf } from '../../../src/oci/digest.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const small = fc.nat(5);
const image = fc.record({
  manifest: small,
  index: fc.option(small),
  config: small,
  layers: fc.array(small, { maxLength: 4 }),
  names: fc.integer({ min: 0, max: 2 }),
  unpacked: fc.boolean(),
});
const graph = fc.record({
  images: fc.uniqueArray(image, { selector: ({ manifest }) => manifest, maxLength: 5 }),
  /** Layer blobs that were dropped after unpacking. */
  dropped: fc.uniqueArray(small, { maxLength: 3 }),
  pinned: fc.option(small),
  mounted: fc.option(small),
});
type Graph = typeof graph extends fc.Arbitrary<infer T> ? T : never;

const SIZES = { layer: 5000, config: 700, manifest: 300, index: 4097 } as const;
const BLOCK = 4096;

function fill(store: OpenStore, { images, dropped, pinned, mounted }: Graph): void {
  const { metadata } = store;
  const add = (kind: keyof typeof SIZES, name: number): Digest => {
    const digest = digestOf(`${kind} ${name}`, name % 2 === 0 ? 'sha256' : 'sha512');
    if (kind !== 'layer' || !dropped.includes(name)) {
      metadata.blobs.put({ digest, size: SIZES[kind] + name, kind, mediaType: 'x', addedAt: 1 });
    }
    return digest;
  };
  for (const { manifest, index, config, layers, names, unpacked } of images) {
    const blobs = [add('config', config), ...layers.map((layer) => add('layer', layer))];
    const digest = add('manifest', manifest);
    metadata.blobs.putRefs(
      digest,
      blobs.map((child) => ({ digest: child, size: 1 })),
    );
    const target = index === null ? digest : add('index', index);
    if (index !== null)
      metadata.blobs.putRefs(target, [
        { digest: digestOf('elsewhere'), size: 1 },
        { digest, size: 1 },
      ]);
    const chain = unpack(store, layers);
    for (let name = 0; name < names; name++) {
      metadata.images.put({
        name: `example.org/i${manifest}:${name}`,
        target: name === 0 ? target : digest,
        manifest: digest,
        config: blobs[0] as Digest,
        platform: 'linux/amd64',
        chainId: chain ?? null,
        unpacked: unpacked && chain !== undefined,
        allPlatforms: false,
        source: 'test',
        createdAt: null,
        pulledAt: 1,
        usedAt: name,
      });
    }
    if (pinned === manifest) {
      metadata.leases.put({ id: 'pin-p', session: null, purpose: 'pin p', createdAt: 1, expiresAt: null });
      metadata.leases.addRefs('pin-p', [{ kind: 'blob', key: digest }]);
    }
    if (mounted === manifest && chain !== undefined) {
      const row = {
        key: `m${manifest}`,
        kind: 'view' as const,
        parent: chain,
        layer: null,
        id: null,
        manifest: digest,
      };
      metadata.snapshots.put({ ...row, labels: {}, createdAt: 1 });
    }
  }
}

function unpack({ metadata }: OpenStore, layers: readonly number[]): ChainID | undefined {
  let parent: ChainID | undefined;
  for (const layer of layers) {
    const diffId = asDiffID(digestOf(`tar ${layer}`));
    if (metadata.layers.get(diffId) === undefined) {
      const [id = ''] = metadata.settings.reserveIds(1);
      const amounts = { tarSize: 1, bytes: 8192 + layer, inodes: 1 + layer };
      metadata.layers.put({ key: diffId, id, diffId, ...amounts, indexed: false, addedAt: 1 });
    }
    const chain = chainID(parent, diffId);
    metadata.snapshots.putChain(chain, parent, diffId, 1);
    parent = chain;
  }
  return parent;
}

/** Stored blobs that digests lead to, they themselves among them. */
function blobsFrom({ metadata }: OpenStore, ...digests: readonly Digest[]): Digest[] {
  const found = new Set<Digest>();
  const visit = (digest: Digest): void => {
    if (found.has(digest) || !metadata.blobs.has(digest)) return;
    found.add(digest);
    for (const { child } of metadata.blobs.refs(digest)) visit(child);
  };
  for (const digest of digests) visit(digest);
  return [...found];
}

function layersOf({ metadata }: OpenStore, chain: ChainID | null): string[] {
  return chain === null ? [] : [...new Set(metadata.layers.stack(chain).map(({ key }) => key))];
}

/** Everything that has a row and is held, with who was first: names, then snapshots, then pins. */
function holders(store: OpenStore): Map<string, string> {
  const { metadata } = store;
  const found = new Map<string, string>();
  const hold = (because: string, things: readonly string[]): void => {
    for (const thing of things) if (!found.has(thing)) found.set(thing, because);
  };
  for (const row of metadata.images.list()) {
    hold(`image ${row.name}`, [...blobsFrom(store, row.target, row.manifest), ...layersOf(store, row.chainId)]);
  }
  for (const { kind, key, manifest, parent } of metadata.snapshots.writable()) {
    hold(`${kind} snapshot ${key}`, [...blobsFrom(store, manifest as Digest), ...layersOf(store, parent)]);
  }
  for (const { key } of metadata.leases.allRefs()) hold('pin p', blobsFrom(store, key as Digest));
  return found;
}

/** Blobs and layers by key. */
function expected(store: OpenStore, held: boolean): { key: string; bytes: number; because: string | undefined }[] {
  const because = holders(store);
  const blobs = store.metadata.blobs.list().map(({ digest, size }) => ({ key: digest as string, bytes: size }));
  const layers = store.metadata.layers.list().map(({ key, bytes }) => ({ key: key as string, bytes }));
  return [...blobs, ...layers]
    .filter(({ key }) => because.has(key) === held)
    .map((thing) => ({ ...thing, because: because.get(thing.key) }));
}

interface Thing {
  readonly bytes: number;
  readonly inodes: number;
  users: number;
}

/** Of each image: what it takes alone, and with others. */
function expectedShares(store: OpenStore): unknown[] {
  const { metadata } = store;
  const things = new Map<string, Thing>();
  for (const { digest, size } of metadata.blobs.list()) {
    things.set(digest, { bytes: Math.ceil(size / BLOCK) * BLOCK, inodes: 1, users: 0 });
  }
  for (const { key, bytes, inodes } of metadata.layers.list()) things.set(key, { bytes, inodes, users: 0 });
  const images = [...Map.groupBy(metadata.images.list(), ({ manifest }) => manifest)].map(([manifest, rows]) => ({
    names: rows.map(({ name }) => name),
    manifest,
    blobs: blobsFrom(store, manifest, ...rows.map(({ target }) => target)),
    layers: rows[0]?.unpacked ? layersOf(store, rows[0].chainId) : [],
  }));
  for (const { blobs, layers } of images) for (const key of [...blobs, ...layers]) (things.get(key) as Thing).users++;
  const sum = (keys: readonly string[], isShared: boolean) => {
    const those = keys.map((key) => things.get(key) as Thing).filter(({ users }) => users > 1 === isShared);
    const total = (of: 'bytes' | 'inodes') => those.reduce((before, thing) => before + thing[of], 0);
    return { bytes: total('bytes'), inodes: total('inodes') };
  };
  const share = (keys: readonly string[]) => ({ unique: sum(keys, false), shared: sum(keys, true) });
  return images.map(({ blobs, layers, ...image }) => ({ ...image, blobs: share(blobs), layers: share(layers) }));
}

/** Running, interrupted and expired leases of each kind. */
function leaseAtRandom({ metadata }: OpenStore, { images }: Graph): void {
  const kinds = ['blob', 'layer', 'snapshot'] as const;
  const keys = {
    blob: metadata.blobs.list().map(({ digest }) => digest as string),
    layer: metadata.layers.list().map(({ key }) => key as string),
    snapshot: metadata.snapshots.list().map(({ key }) => key),
  };
  for (const [i, { manifest, config }] of images.entries()) {
    const kind = kinds[config % 3] as (typeof kinds)[number];
    const expiresAt = [null, 1, Date.now() + 1e6][manifest % 3] as number | null;
    const id = `lease-${i}`;
    metadata.leases.put({ id, session: null, purpose: id, createdAt: i, expiresAt });
    const key = keys[kind].at(-1 - manifest);
    if (key !== undefined) metadata.leases.addRefs(id, [{ kind, key }]);
  }
}

async function inStoreOf(rows: Graph, check: (store: OpenStore) => Promise<void>): Promise<void> {
  using directory = tempDir('graph');
  await using store = await openTestStore({ root: `${directory.path}/store` });
  store.metadata.transaction(() => fill(store, rows));
  await check(store);
}

test('df gives each image what is its own, and what it shares', async () => {
  await fc.assert(
    fc.asyncProperty(graph, (rows) =>
      inStoreOf(rows, async (store) => {
        assert.equal(statfsSync(store.paths.root).bsize, BLOCK);
        const { images, blobs, layers, naiveBytes, reclaimableBytes } = await diskUsage(store);
        const shares = images.map(({ names, manifest, blobs: b, layers: l }) => ({
          names,
          manifest,
          blobs: b,
          layers: l,
        }));
        assert.deepEqual(shares, expectedShares(store));
        const parts = images.flatMap(({ blobs: b, layers: l }) => [b.unique, b.shared, l.unique, l.shared]);
        assert.equal(
          naiveBytes,
          parts.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        assert.equal(reclaimableBytes, blobs.unused.bytes + layers.unused.bytes);
        assert.equal(blobs.count, store.metadata.blobs.list().length);
        assert.equal(layers.count, store.metadata.layers.list().length);
      }),
    ),
    { numRuns: 40 },
  );
});

test('a dry run that tries what it would do, down to a size that all is below, says the same', async () => {
  await fc.assert(
    fc.asyncProperty(graph, fc.boolean(), (rows, interrupted) =>
      inStoreOf(rows, async (store) => {
        leaseAtRandom(store, rows);
        const explained = await collectGarbage(store, { dryRun: true, interrupted });
        const tried = await collectGarbage(store, { dryRun: true, interrupted, maxBytes: Number.MAX_SAFE_INTEGER });
        assert.deepEqual(explained, tried);
      }),
    ),
    { numRuns: 40 },
  );
});

test('gc --dry-run says who holds each thing, and what nobody does', async () => {
  await fc.assert(
    fc.asyncProperty(graph, (rows) =>
      inStoreOf(rows, async (store) => {
        const { kept, removed } = await collectGarbage(store, { dryRun: true });
        assert.deepEqual(
          kept.map(({ key, bytes, because }) => ({ key, bytes, because })),
          expected(store, true),
        );
        assert.deepEqual(
          removed.map(({ key, bytes }) => ({ key, bytes })),
          expected(store, false).map(({ key, bytes }) => ({ key, bytes })),
        );
      }),
    ),
    { numRuns: 40 },
  );
});
