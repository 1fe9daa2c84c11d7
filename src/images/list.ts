/** `images`: every name with what it stands for and how large that is. From rows alone. */
import type { Digest } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';
import { shortCanonicalName } from './find.ts';
import { StackSizes } from './stack-sizes.ts';

export interface ImageSummary {
  /** As people write it: `alpine:3.20`. */
  readonly name: string;
  /** Canonical: `docker.io/library/alpine:3.20`. */
  readonly reference: string;
  /** Digest of the config. */
  readonly id: Digest;
  /** What the name stands for: an index or a manifest. */
  readonly digest: Digest;
  readonly manifest: Digest;
  readonly platform: string;
  readonly unpacked: boolean;
  /** Compressed bytes of config and layers. */
  readonly compressedBytes: number;
  /** Bytes on disk of the unpacked layers; shared ones count for every image. 0 when it is not unpacked. */
  readonly unpackedBytes: number;
  readonly layers: number;
  /** ISO 8601; null when the config has no date. */
  readonly createdAt: string | null;
  readonly pulledAt: string;
  readonly usedAt: string;
}

/** All names in order. */
export function listImages(context: StoreContext): ImageSummary[] {
  const { metadata } = context;
  return metadata.database.snapshot(() => {
    const rows = metadata.images.list();
    const unpackedBytes = new StackSizes(metadata.database).bytesOf(
      rows.map((row) => (row.unpacked ? row.chainId : null)),
    );
    const compressed = compressedSizes(context);
    return rows.map((row, i) => ({
      name: shortCanonicalName(row.name),
      reference: row.name,
      id: row.config,
      digest: row.target,
      manifest: row.manifest,
      platform: row.platform,
      unpacked: row.unpacked,
      compressedBytes: compressed.get(row.manifest)?.bytes ?? 0,
      unpackedBytes: unpackedBytes[i] as number,
      layers: compressed.get(row.manifest)?.layers ?? 0,
      createdAt: row.createdAt === null ? null : new Date(row.createdAt).toISOString(),
      pulledAt: new Date(row.pulledAt).toISOString(),
      usedAt: new Date(row.usedAt).toISOString(),
    }));
  });
}

function compressedSizes({ metadata }: StoreContext): Map<Digest, { bytes: number; layers: number }> {
  const rows = metadata.database.all<{ parent: Digest; bytes: number; refs: number }>(
    'SELECT parent, sum(size) AS bytes, count(*) AS refs FROM refs GROUP BY parent',
  );
  return new Map(rows.map(({ parent, bytes, refs }) => [parent, { bytes, layers: refs - 1 }]));
}
