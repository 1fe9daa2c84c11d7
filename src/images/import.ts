/** `tslayer import`: a root file system's tar as an image of one layer. */
import type { FileHandle } from 'node:fs/promises';
import { type PackedLayer, packTar } from '../archive/pack.ts';
import type { LayerSink } from '../archive/sink.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { hostPlatform, type Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import { readFrom } from '../transports/read-from.ts';
import { openSeekable } from '../transports/spool.ts';
import { historyEntry, type NewImageOptions, packOptions, publishLayers } from './commit.ts';
import type { StoreContext } from './context.ts';
import { openLease } from './lease.ts';
import { addLayerBlob } from './new-blob.ts';
import { creationDate, emptyConfig, sourceDateEpoch } from './next-config.ts';
import type { PullResult } from './pull/pull.ts';

export interface ImportOptions extends NewImageOptions {
  /** What the image says it runs on. Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** For `-`, instead of standard input. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/**
 * Imports a tar (`-`: standard input; gzip and zstd are undone). The tar goes into the layer as it is: the diffID is
 * its own digest.
 * @throws MALFORMED, UNSAFE_LAYER for what is no layer; UNSUPPORTED for other compressions
 */
export async function importTar(
  context: StoreContext,
  path: string,
  reference: Reference,
  options: ImportOptions = {},
): Promise<PullResult> {
  const { signal, stdin } = options;
  const epoch = options.epoch ?? sourceDateEpoch();
  const created = creationDate(epoch);
  const label = path === '-' ? 'standard input' : path;
  await using lease = await openLease(context, `import ${path}`);
  await using tar = await openSeekable(path, label, { signal, stdin, tmpDir: context.paths.tmp });
  const layer = await addLayerBlob(context, lease, (file) => pack(context, tar, file, options));
  const base = { layers: [], rawConfig: emptyConfig(options.platform ?? hostPlatform()), history: [] };
  const entry = historyEntry('tslayer import', options, created, false);
  return await publishLayers(context, base, [layer], [entry], created, {
    reference,
    source: `import ${path}`,
    options,
  });
}

function pack(context: StoreContext, tar: FileHandle, file: FileHandle, options: ImportOptions): Promise<PackedLayer> {
  const checked = wellFormed(readFrom(tar, 0, Number.POSITIVE_INFINITY), context);
  return packTar(checked, packOptions(options, undefined), (chunk) => file.writeFile(chunk));
}

/** Passes a tar on and refuses one that no driver would unpack, before a name is given to it. */
async function* wellFormed(chunks: AsyncIterable<Uint8Array>, context: StoreContext): AsyncGenerator<Uint8Array, void> {
  const reader = new TarReader(NO_SINK, context.config.limits);
  for await (const chunk of chunks) {
    reader.write(chunk);
    yield chunk;
  }
  reader.end();
}

const NO_SINK: LayerSink = {
  entry: () => undefined,
  whiteout: () => undefined,
  opaque: () => undefined,
  finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
  close: () => undefined,
};
