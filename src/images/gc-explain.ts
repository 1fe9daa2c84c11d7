/** Why each thing stays or goes, in words. */
import { KeyList, NO_KEY } from '../metadata/key-list.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { Collected } from './collect.ts';
import { shortName } from './find.ts';
import { Holders } from './gc-holders.ts';
import { StoreGraph } from './graph.ts';
import type { Orphan } from './orphans.ts';
import type { StaleUpload } from './upload-memory.ts';

export interface Explanation {
  readonly kind: 'blob' | 'layer' | 'cache' | 'snapshot' | 'partial' | 'upload' | 'file';
  /** A digest, a chainID, a name, a path below ROOT. */
  readonly key: string;
  readonly bytes: number;
  readonly because: string;
}

export function explainDropped(dropped: Collected, because: string): Explanation[] {
  return [
    ...dropped.blobs.map(({ digest, bytes }) => ({ kind: 'blob' as const, key: digest, bytes, because })),
    ...dropped.layers.map(({ key, bytes }) => ({ kind: 'layer' as const, key, bytes, because })),
  ];
}

export function explainOrphan(orphan: Orphan): Explanation {
  const { kind, path, bytes, because } = orphan;
  return { kind, key: path, bytes, because };
}

export function explainUpload({ name, bytes }: StaleUpload): Explanation {
  return { kind: 'upload', key: `uploads/${name}`, bytes, because: 'no push went on with it' };
}

/** Everything that has a row, with the first thing that was found to hold it. */
export function explainKept(metadata: Metadata): Explanation[] {
  const graph = new StoreGraph(metadata.database);
  const holders = new Holders(graph);
  const { names, chains } = graph.images;
  for (const [i, name] of names.entries()) {
    holders.hold(`image ${shortName(name)}`, graph.images.roots([i]), chains[i] as number);
  }
  holdForSnapshots(metadata, graph, holders);
  holdForLeases(metadata, graph, holders);
  return [
    ...graph.blobs.strings().map((key, i) => ({
      kind: 'blob' as const,
      key,
      bytes: graph.blobSizes[i] as number,
      because: holders.ofBlob(i),
    })),
    ...graph.layers.strings().map((key, i) => ({
      kind: 'layer' as const,
      key,
      bytes: graph.layerBytes[i] as number,
      because: holders.ofLayer(i),
    })),
  ];
}

function holdForSnapshots(metadata: Metadata, graph: StoreGraph, holders: Holders): void {
  const rows = metadata.snapshots.writable();
  const manifests = graph.blobs.placesOf(KeyList.of(rows.map((row) => row.manifest ?? NO_KEY)));
  const parents = graph.chains.placesOf(KeyList.of(rows.map((row) => row.parent ?? NO_KEY)));
  for (const [i, { kind, key }] of rows.entries()) {
    holders.hold(`${kind} snapshot ${key}`, [manifests[i] as number], parents[i] as number);
  }
}

function holdForLeases(metadata: Metadata, graph: StoreGraph, holders: Holders): void {
  const leases = new Map(metadata.leases.list().map((lease) => [lease.id, lease]));
  const refs = metadata.leases.allRefs();
  const keys = KeyList.of(refs.map(({ key }) => key));
  const [blobs, chains, layers] = [graph.blobs, graph.chains, graph.layers].map((list) => list.placesOf(keys)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  for (const [i, { lease, kind }] of refs.entries()) {
    const row = leases.get(lease);
    const because = row?.session === null && row.expiresAt !== null ? `interrupted: ${row.purpose}` : `${row?.purpose}`;
    holders.hold(because, [blobs[i] as number], chains[i] as number);
    if (kind === 'layer') holders.holdLayer(because, layers[i] as number);
  }
}
