/** Why each thing stays or goes, in words. */
import type { Metadata } from '../metadata/metadata.ts';
import type { Collected } from './collect.ts';
import { shortName } from './find.ts';
import type { Orphan } from './orphans.ts';

export interface Explanation {
  readonly kind: 'blob' | 'layer' | 'snapshot' | 'partial' | 'file';
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

/** Everything that has a row, with the first thing that was found to hold it. */
export function explainKept(metadata: Metadata): Explanation[] {
  const { database } = metadata;
  const reasons = new Map<string, string>();
  const because = (key: string | null, text: string) => {
    if (key !== null && !reasons.has(key)) reasons.set(key, text);
  };
  for (const row of metadata.images.list()) {
    const text = `image ${shortName(row.name)}`;
    for (const key of [row.target, row.manifest, row.config, row.chainId]) because(key, text);
  }
  for (const row of metadata.snapshots.writable()) {
    for (const key of [row.manifest, row.parent]) because(key, `${row.kind} snapshot ${row.key}`);
  }
  const purposes = new Map(metadata.leases.list().map((lease) => [lease.id, lease]));
  for (const { lease, key } of metadata.leases.allRefs()) {
    const row = purposes.get(lease);
    because(key, row?.session || row?.expiresAt === null ? `${row.purpose}` : `interrupted: ${row?.purpose}`);
  }
  spreadToChildren(metadata, reasons);
  const blobs = database.all<{ key: string; bytes: number }>('SELECT digest AS key, size AS bytes FROM blobs');
  const layers = database.all<{ key: string; bytes: number }>('SELECT key, bytes FROM layers');
  const explain = (kind: 'blob' | 'layer') => (row: { key: string; bytes: number }) => ({
    kind,
    ...row,
    because: reasons.get(kind === 'layer' ? `layer ${row.key}` : row.key) ?? reasons.get(row.key) ?? 'a row holds it',
  });
  return [...blobs.map(explain('blob')), ...layers.map(explain('layer'))];
}

/** What holds a parent holds what it names: manifests and configs by refs, layers by the stacks that they are in. */
function spreadToChildren({ database }: Metadata, reasons: Map<string, string>): void {
  const refs = Map.groupBy(
    database.all<{ parent: string; child: string }>('SELECT parent, child FROM refs'),
    (ref) => ref.parent,
  );
  const chains = new Map(
    database
      .all<{ key: string; parent: string | null; layer: string }>(
        `SELECT key, parent, layer FROM snapshots WHERE kind = 'committed'`,
      )
      .map((chain) => [chain.key, chain]),
  );
  const pending = [...reasons.keys()];
  for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
    const reason = reasons.get(key) as string;
    const chain = chains.get(key);
    const below = (refs.get(key) ?? []).map((ref) => ref.child);
    if (chain?.parent) below.push(chain.parent);
    if (chain) reasons.set(`layer ${chain.layer}`, reason);
    for (const child of below) {
      if (reasons.has(child)) continue;
      reasons.set(child, reason);
      pending.push(child);
    }
  }
}
