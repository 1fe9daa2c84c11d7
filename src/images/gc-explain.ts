/** Why each thing stays or goes, in words. */
import { KeyList, NO_KEY } from '../metadata/key-list.ts';
import type { LeaseKind, LeaseRow } from '../metadata/leases.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { Collected } from './collect.ts';
import { shortCanonicalName } from './find.ts';
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

export const UNHELD = 'nothing holds it';

/** In the order of a dry run, which has not been where the collector has. */
export function explainDropped(dropped: Collected, because: string): Explanation[] {
  const blobs = dropped.blobs.map(({ digest, bytes }) => ({ kind: 'blob' as const, key: digest, bytes, because }));
  const layers = dropped.layers.map(({ key, bytes }) => ({ kind: 'layer' as const, key, bytes, because }));
  return [...blobs.sort(byKey), ...layers.sort(byKey)];
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}

export function explainOrphan(orphan: Orphan): Explanation {
  const { kind, path, bytes, because } = orphan;
  return { kind, key: path, bytes, because };
}

export function explainUpload({ name, bytes }: StaleUpload): Explanation {
  return { kind: 'upload', key: `uploads/${name}`, bytes, because: 'no push went on with it' };
}

/** Everything that has a row: what somebody holds, with the first who was found to, and what nobody does. */
export interface Verdicts {
  readonly held: readonly Explanation[];
  readonly unheld: readonly Explanation[];
  /** Of all blobs, sorted. */
  readonly digests: readonly string[];
}

/** @param isOver leases that hold nothing any more */
export function explainRows(metadata: Metadata, isOver: (lease: LeaseRow) => boolean): Verdicts {
  const graph = new StoreGraph(metadata.database);
  const holders = new Holders(graph);
  const { names, configs, chains } = graph.images;
  for (let i = 0; i < names.length; i++) {
    const roots = [...graph.images.roots([i]), configs[i] as number];
    holders.hold(`image ${shortCanonicalName(names[i] as string)}`, roots, chains[i] as number);
  }
  holdForSnapshots(metadata, graph, holders);
  holdForLeases(metadata, graph, holders, isOver);
  const digests = graph.blobs.strings();
  const verdicts = { held: [] as Explanation[], unheld: [] as Explanation[], digests };
  for (let i = 0; i < digests.length; i++) {
    judge(verdicts, 'blob', digests[i] as string, graph.blobSizes[i] as number, holders.ofBlob(i));
  }
  const keys = graph.layers.strings();
  for (let i = 0; i < keys.length; i++) {
    judge(verdicts, 'layer', keys[i] as string, graph.layerBytes[i] as number, holders.ofLayer(i));
  }
  return verdicts;
}

function judge(
  { held, unheld }: { held: Explanation[]; unheld: Explanation[] },
  kind: 'blob' | 'layer',
  key: string,
  bytes: number,
  because: string | undefined,
): void {
  if (because === undefined) unheld.push({ kind, key, bytes, because: UNHELD });
  else held.push({ kind, key, bytes, because });
}

function holdForSnapshots(metadata: Metadata, graph: StoreGraph, holders: Holders): void {
  const rows = metadata.snapshots.writable();
  const manifests = graph.blobs.placesOf(KeyList.of(rows.map((row) => row.manifest ?? NO_KEY)));
  const parents = graph.chains.placesOf(KeyList.of(rows.map((row) => row.parent ?? NO_KEY)));
  for (const [i, { kind, key }] of rows.entries()) {
    holders.hold(`${kind} snapshot ${key}`, [manifests[i] as number], parents[i] as number);
  }
}

function holdForLeases(
  metadata: Metadata,
  graph: StoreGraph,
  holders: Holders,
  isOver: (lease: LeaseRow) => boolean,
): void {
  const leases = new Map(metadata.leases.list().map((lease) => [lease.id, lease]));
  const refs = metadata.leases.allRefs();
  const keysOf = (wanted: LeaseKind) => KeyList.of(refs.map(({ kind, key }) => (kind === wanted ? key : NO_KEY)));
  const blobs = graph.blobs.placesOf(keysOf('blob'));
  const chains = graph.chains.placesOf(keysOf('snapshot'));
  const layers = graph.layers.placesOf(keysOf('layer'));
  for (const [i, { lease }] of refs.entries()) {
    const row = leases.get(lease);
    if (row === undefined || isOver(row)) continue;
    const because = row.session === null && row.expiresAt !== null ? `interrupted: ${row.purpose}` : row.purpose;
    holders.hold(because, [blobs[i] as number], chains[i] as number);
    holders.holdLayer(because, layers[i] as number);
  }
}
