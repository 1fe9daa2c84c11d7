/**
 * Sends an image, byte for byte, to a registry: blobs side by side, those that are there or can be mounted from a
 * sister repository not at all; then manifests, children before the indexes that name them, the tag last. Until
 * then nobody sees an unfinished image.
 */
import pLimit from 'p-limit';
import type { PushOutcome, RegistryClient, UploadMemory } from '../../registry-client/client.ts';
import { isTslayerError, TslayerError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { LayerState, OperationOptions } from '../progress.ts';
import { type Closure, closureOf, missingChildren } from '../transports/closure.ts';
import type { ContentReader } from '../transports/source.ts';

/** Blobs sent at once, as docker and podman do. */
const DEFAULT_CONCURRENCY = 5;

export interface PushContentRequest extends OperationOptions {
  readonly client: RegistryClient;
  readonly reader: ContentReader;
  /** An index or a manifest. */
  readonly root: Descriptor;
  /** Its tag names the root; without one the root is put under its digest only. */
  readonly destination: Reference;
  /** Repositories of the destination's registry that may have a blob. */
  readonly mountFrom?: ((digest: Digest) => readonly string[]) | undefined;
  /** Where a blob's upload is remembered; undefined for one that is small enough to be sent again. */
  readonly memory?: ((blob: Descriptor) => (UploadMemory & Disposable) | undefined) | undefined;
  readonly concurrency?: number | undefined;
}

export interface PushCounts {
  readonly uploaded: number;
  readonly mounted: number;
  readonly exists: number;
  /** Bytes of the blobs that were uploaded. */
  readonly uploadedBytes: number;
}

export const NO_PUSHES: PushCounts = { uploaded: 0, mounted: 0, exists: 0, uploadedBytes: 0 };

export function addCounts(a: PushCounts, b: PushCounts): PushCounts {
  return {
    uploaded: a.uploaded + b.uploaded,
    mounted: a.mounted + b.mounted,
    exists: a.exists + b.exists,
    uploadedBytes: a.uploadedBytes + b.uploadedBytes,
  };
}

/** Whether the destination has the root under its tag (or digest) already: one request, and nothing is left to do. */
export async function isPushed(request: PushContentRequest): Promise<boolean> {
  const { client, destination, root, signal } = request;
  try {
    const there = await client.resolve(tagged(destination, root.digest), { signal });
    return there.descriptor.digest === root.digest;
  } catch (error) {
    // A registry may refuse to show what it lets be written: then the push itself tells.
    if (isTslayerError(error, 'NOT_FOUND') || isTslayerError(error, 'DENIED')) return false;
    throw error;
  }
}

/**
 * Throws NOT_FOUND when the root is incomplete here; an index's missing platforms must be at the destination.
 * @param pushed asked meanwhile: whether the manifests need not be sent
 */
export async function pushContent(
  request: PushContentRequest,
  pushed: Promise<boolean> = Promise.resolve(false),
): Promise<PushCounts> {
  const { client, root, destination, signal, onProgress } = request;
  const closure = await closureOf(request.reader, [root]);
  await requireRest(request, closure);
  const counts = await pushBlobs(request, closure.blobs);
  if (await pushed) return counts;
  for (const { descriptor, bytes } of closure.manifests) {
    const reference =
      descriptor.digest === root.digest
        ? tagged(destination, root.digest)
        : { ...tagless(destination), digest: descriptor.digest };
    await client.pushManifest(reference, bytes, descriptor.mediaType, { signal, onProgress });
  }
  return counts;
}

async function pushBlobs(request: PushContentRequest, blobs: readonly Descriptor[]): Promise<PushCounts> {
  const { client, reader, destination, mountFrom, signal, onProgress } = request;
  // The first failure stops the others: nothing that they send would be of use.
  const stop = new AbortController();
  const both = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
  const limit = pLimit(request.concurrency ?? DEFAULT_CONCURRENCY);
  onProgress?.({
    type: 'plan',
    layers: blobs.map(({ digest, size }) => ({ digest, size, present: false })),
    totalBytes: blobs.reduce((sum, blob) => sum + blob.size, 0),
  });
  const push = async (descriptor: Descriptor): Promise<PushCounts> => {
    const source = { descriptor, open: (offset: number) => reader.openBlob(descriptor, offset) };
    const from = mountFrom?.(descriptor.digest) ?? [];
    using memory = request.memory?.(descriptor);
    const options = { signal: both, onProgress, mountFrom: from, memory };
    const outcome = await client.pushBlob(destination, source, options);
    onProgress?.({ type: 'layer', digest: descriptor.digest, state: STATES[outcome], bytes: descriptor.size });
    return { ...NO_PUSHES, [outcome]: 1, uploadedBytes: outcome === 'uploaded' ? descriptor.size : 0 };
  };
  const pushes = blobs.map((blob) =>
    limit(push, blob).catch((error: unknown) => {
      limit.clearQueue();
      stop.abort(error);
      throw error;
    }),
  );
  return (await Promise.all(pushes)).reduce(addCounts, NO_PUSHES);
}

const STATES: Readonly<Record<PushOutcome, LayerState>> = { exists: 'exists', mounted: 'mounted', uploaded: 'pushed' };

/** An index that is pushed without some of its manifests: the registry must have them, or it would lie. */
async function requireRest(request: PushContentRequest, closure: Closure): Promise<void> {
  const missing = missingChildren(closure.manifests);
  const limit = pLimit(request.concurrency ?? DEFAULT_CONCURRENCY);
  await limit.map(missing, async ({ digest }) => {
    const reference = { ...tagless(request.destination), digest };
    const there = await request.client.resolve(reference, { signal: request.signal }).catch((error: unknown) => {
      if (isTslayerError(error, 'NOT_FOUND')) return undefined;
      throw error;
    });
    if (there) return;
    throw new TslayerError(
      'NOT_FOUND',
      `${formatReference(request.destination)}: some platforms of the index are neither here nor there`,
      { hint: 'pull with --all-platforms first, or push one with --platform' },
    );
  });
}

export function tagless({ registry, repository }: Reference): Reference {
  return { registry, repository };
}

function tagged(destination: Reference, digest: Digest): Reference {
  const { tag } = destination;
  return tag === undefined ? { ...tagless(destination), digest } : { ...tagless(destination), tag };
}
