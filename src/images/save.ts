/** `tslayer save`: images of the store as archives and layouts, digests as they are. */
import { TslayerError, throwIfAborted } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffID } from '../oci/digest.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import type { ArchiveTransport } from '../transports/location.ts';
import { type ImageToSave, ociArchive, type SaveOptions as WriteOptions } from '../transports/save.ts';
import { dockerArchive } from '../transports/save-docker.ts';
import { saveLayout } from '../transports/save-layout.ts';
import { writeBeside } from '../transports/write-beside.ts';
import type { StoreContext } from './context.ts';
import { rootOf, storeReader } from './store-reader.ts';

export type ArchiveFormat = Exclude<ArchiveTransport, 'oci'>;

export interface SaveOptions extends OperationOptions {
  /** Save this platform's manifest in place of the index. */
  readonly platform?: Platform | undefined;
  /** What layouts call the image, in place of its own name; for one image only. */
  readonly refName?: string | undefined;
}

/** The archive's bytes, for a file or standard output. Docker archives hold the layers uncompressed. */
export function saveArchive(
  context: StoreContext,
  images: readonly ImageRow[],
  format: ArchiveFormat,
  options: SaveOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const reader = storeReader(context);
  const toSave = imagesToSave(context, images, options);
  const write = writeOptions(images, options);
  if (format === 'oci-archive') return aborting(ociArchive(reader, toSave, write), options.signal);
  const layerSize = (diffId: DiffID) => context.metadata.blobs.blobsOf(diffId)[0]?.tarSize;
  return aborting(dockerArchive(reader, toSave, { ...write, layerSize }), options.signal);
}

/** The archive as a file, which appears when it is whole. */
export function saveFile(
  context: StoreContext,
  images: readonly ImageRow[],
  format: ArchiveFormat,
  path: string,
  options: SaveOptions = {},
): Promise<void> {
  return writeBeside(path, saveArchive(context, images, format, options));
}

/** Images added to an OCI layout directory, which is made when it is not there. */
export function saveDirectory(
  context: StoreContext,
  images: readonly ImageRow[],
  directory: string,
  options: SaveOptions = {},
): Promise<void> {
  return saveLayout(
    storeReader(context),
    imagesToSave(context, images, options),
    directory,
    writeOptions(images, options),
  );
}

/** Rows of one target become one image with several names. */
function imagesToSave(context: StoreContext, images: readonly ImageRow[], options: SaveOptions): ImageToSave[] {
  if (images.length === 0) throw new TslayerError('INVALID_ARGUMENT', 'no image to save');
  const byRoot = new Map<string, { root: Descriptor; references: Reference[] }>();
  for (const image of images) {
    const root = rootOf(context, image, options.platform);
    const saved = byRoot.get(root.digest) ?? { root, references: [] };
    byRoot.set(root.digest, saved);
    const reference = parseReference(image.name);
    // A name that is a digest says nothing that the digest does not.
    if (reference.digest === undefined) saved.references.push(reference);
  }
  return [...byRoot.values()].map((image) => ({ ...image, refName: options.refName }));
}

function writeOptions(images: readonly ImageRow[], options: SaveOptions): WriteOptions {
  // Docker's lists name one image of an index: the one that the store means by the name.
  const own = images.find((image) => image.platform !== '')?.platform;
  return {
    platform: options.platform ?? (own === undefined ? undefined : parsePlatform(own)),
    onBlob: ({ digest, size }) => options.onProgress?.({ type: 'layer', digest, state: 'done', bytes: size }),
  };
}

async function* aborting(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    throwIfAborted(signal);
    yield chunk;
  }
}
