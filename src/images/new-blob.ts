/**
 * Layer blobs that are made here: their digest is known when the last byte is written. Until then they are scratch of
 * this session in the store's tmp/, which a crash leaves to the next sweep.
 */
import { rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffID, Digest } from '../oci/digest.ts';
import { randomHex } from '../sys/random.ts';
import type { StoreContext } from './context.ts';
import type { Lease } from './lease.ts';
import { recordBlob } from './pull/documents.ts';

/** A layer in the store: its blob, and the tar that the blob holds. */
export interface NewLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffID;
  /** Bytes of the tar. */
  readonly tarSize: number;
}

/** What a maker says of the bytes that it wrote into the file. */
export interface WrittenLayer {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes written. */
  readonly size: number;
  readonly diffId: DiffID;
  readonly tarSize: number;
}

/** Runs `write` on an empty file and makes it a blob with rows, held by the lease. */
export async function addLayerBlob(
  context: StoreContext,
  lease: Lease,
  write: (file: FileHandle) => Promise<WrittenLayer>,
): Promise<NewLayer> {
  const { paths, config, metadata, blobs, session } = context;
  const path = join(paths.tmp, `${await session.open()}-${randomHex(6)}`);
  const file = await open(path, 'wx', 0o600);
  try {
    const { diffId, tarSize, ...descriptor } = await write(file);
    if (config.durability === 'layer') await file.datasync();
    await file.close();
    lease.hold({ blobs: [descriptor.digest] });
    await blobs.adopt(path, descriptor);
    metadata.transaction(() => {
      recordBlob(metadata, descriptor, 'layer');
      metadata.blobs.putDiff({ digest: descriptor.digest, diffId, tarSize });
    });
    return { descriptor, diffId, tarSize };
  } catch (error) {
    await file.close().catch(() => undefined);
    rmSync(path, { force: true });
    throw error;
  }
}
