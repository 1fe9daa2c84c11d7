/** Why each thing stays or goes, in words. */
import type { Metadata } from '../metadata/metadata.ts';
import type { Collected } from './collect.ts';
import { shortName } from './find.ts';
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
  const graph = new StoreGraph(metadata);
  const ofBlob = new Array<string | undefined>(graph.blobs.length);
  const ofLayer = new Array<string | undefined>(graph.layers.length);
  const hold = (because: string, roots: readonly number[], chains: readonly (string | null)[]) => {
    graph.reach(roots, (blob) => claim(ofBlob, blob, because));
    // What lies below a layer that somebody else holds already may be held by nobody else: go all the way down.
    for (const chain of chains) {
      graph.climb(graph.chain(chain), (layer) => {
        claim(ofLayer, layer, because);
        return true;
      });
    }
  };
  for (const row of graph.images) {
    hold(`image ${shortName(row.name)}`, graph.roots(row.manifest, [row]), [row.chainId]);
  }
  for (const row of metadata.snapshots.writable())
    hold(`${row.kind} snapshot ${row.key}`, [graph.blob(row.manifest)], [row.parent]);
  const leases = new Map(metadata.leases.list().map((lease) => [lease.id, lease]));
  const layerIndex = new Map<string, number>(graph.layers.map((key, i) => [key, i]));
  for (const { lease, key, kind } of metadata.leases.allRefs()) {
    const row = leases.get(lease);
    const because = row?.session === null && row.expiresAt !== null ? `interrupted: ${row.purpose}` : `${row?.purpose}`;
    hold(because, [graph.blob(key)], [key]);
    if (kind === 'layer') claim(ofLayer, layerIndex.get(key) ?? -1, because);
  }
  return [
    ...graph.blobs.map((key, i) => explain('blob', key, graph.blobSizes[i] ?? 0, ofBlob[i])),
    ...graph.layers.map((key, i) => explain('layer', key, graph.layerBytes[i] ?? 0, ofLayer[i])),
  ];
}

/** Notes a reason; false when there was one. */
function claim(reasons: (string | undefined)[], thing: number, because: string): boolean {
  if (thing < 0 || reasons[thing] !== undefined) return false;
  reasons[thing] = because;
  return true;
}

function explain(kind: 'blob' | 'layer', key: string, bytes: number, because = 'a stack holds it'): Explanation {
  return { kind, key, bytes, because };
}
