/** Hashes of files in layers, to tell whether two of equal size hold equal bytes. A layer's blob is read once at most. */
import { createHash, type Hash } from 'node:crypto';
import type { TarEntry } from '../archive/entry.ts';
import type { LayerSink } from '../archive/sink.ts';
import type { OperationOptions } from '../progress.ts';
import { readFile } from './cat-file.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer } from './image-layers.ts';
import type { FileInfo } from './layer-tree.ts';
import { readLayer } from './read-layer.ts';

export interface WantedFile {
  readonly info: FileInfo;
  readonly layer: ImageLayer;
}

/** sha256 in hex of each file's bytes, holes included. */
export async function hashFiles(
  context: StoreContext,
  files: readonly WantedFile[],
  options: OperationOptions = {},
): Promise<Map<FileInfo, string>> {
  const hashes = new Map<FileInfo, string>();
  const byLayer = Map.groupBy(new Map(files.map((file) => [file.info, file])).values(), ({ layer }) => layer.diffId);
  // Blobs are read without a driver, which an ordinary user may not have.
  const driver = files.some(({ layer }) => layer.row !== undefined) ? await context.driver() : undefined;
  for (const wanted of byLayer.values()) {
    const layer = wanted[0]?.layer;
    if (!layer) continue;
    const isCheap = layer.row !== undefined && driver?.readFile !== undefined;
    // Sparse files are rare, and only the slow way puts their holes in.
    const [single, together] = partition(wanted, ({ info }) => isCheap || info.entry.segments !== undefined);
    for (const { info } of single) hashes.set(info, await hashOf(readFile(context, layer, info.entry, options)));
    if (together.length > 0) await hashTogether(context, layer, together, hashes, options);
  }
  return hashes;
}

async function hashOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** One pass over the blob. */
async function hashTogether(
  context: StoreContext,
  layer: ImageLayer,
  wanted: readonly WantedFile[],
  hashes: Map<FileInfo, string>,
  options: OperationOptions,
): Promise<void> {
  const byOffset = new Map(wanted.map(({ info }) => [info.entry.dataOffset, info]));
  let current: { readonly info: FileInfo; readonly hash: Hash } | undefined;
  const finish = () => {
    if (current) hashes.set(current.info, current.hash.digest('hex'));
    current = undefined;
  };
  const sink: LayerSink = {
    entry(entry: TarEntry) {
      finish();
      const info = byOffset.get(entry.dataOffset);
      if (info && entry.type === 'file') current = { info, hash: createHash('sha256') };
    },
    data: (chunk) => void current?.hash.update(chunk),
    whiteout: finish,
    opaque: finish,
    finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
    close: () => undefined,
  };
  await readLayer(context, layer, sink, { signal: options.signal });
  finish();
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
