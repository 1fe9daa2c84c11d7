/** `tslayer push`: an image of the store to a registry, digests as they are. */
import type { RegistryClient } from '../../registry-client/client.ts';
import { isTslayerError, TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { Digest } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, nameOf, parseReference, type Reference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import { closureOf, missingChildren } from '../transports/closure.ts';
import type { StoreContext } from './context.ts';
import { bringBlobsBack, type SourceOf } from './dropped-blobs.ts';
import { isRegistry } from './pull/drop-blobs.ts';
import { isPushed, NO_PUSHES, type PushContentRequest, type PushCounts, pushContent, tagless } from './push-content.ts';
import { copyReferrers } from './referrers.ts';
import { rootOf, storedDescriptor, storeReader } from './store-reader.ts';
import { uploadMemory } from './upload-memory.ts';

export interface PushOptions extends OperationOptions {
  /** Default: the image's own name. */
  readonly destination?: Reference | undefined;
  /** Push the image of the store's platform in place of the index. */
  readonly platform?: Platform | undefined;
  /** Copy what refers to the image (signatures, SBOMs) from the repository that it was pulled from. */
  readonly referrers?: boolean | undefined;
  readonly concurrency?: number | undefined;
  /** For blobs that the store has dropped. Default: nothing is fetched. */
  readonly sourceOf?: SourceOf | undefined;
  /** Blobs from this size on are gone on with by a later push. Default 8 MiB. */
  readonly rememberedBytes?: number | undefined;
}

export interface PushResult extends PushCounts {
  /** `registry/repository:tag`. */
  readonly name: string;
  readonly digest: Digest;
  /** The destination had it already. */
  readonly status: 'present' | 'pushed';
  /** Digests of what was carried along. */
  readonly referrers: readonly Digest[];
}

/**
 * An index goes with all its platforms. When some are neither here nor at the destination, the one image that was
 * pulled goes alone, under its own digest, with a warning.
 */
export async function pushImage(
  context: StoreContext,
  client: RegistryClient,
  image: ImageRow,
  options: PushOptions = {},
): Promise<PushResult> {
  const destination = options.destination ?? parseReference(image.name);
  if (destination.digest !== undefined && destination.tag === undefined && options.destination) {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `${formatReference(destination)}: push to a tag, the digest follows from it`,
    );
  }
  const { signal, onProgress, concurrency } = options;
  const request: PushContentRequest = {
    client,
    reader: storeReader(context),
    root: rootOf(context, image, options.platform),
    destination: { ...tagless(destination), ...(destination.tag === undefined ? {} : { tag: destination.tag }) },
    mountFrom: (digest) => repositoriesWith(context, digest, destination),
    memory: (blob) => uploadMemory(context.paths, destination, blob, options.rememberedBytes),
    concurrency,
    signal,
    onProgress,
  };
  context.metadata.transaction(() => context.metadata.images.touch(image.name, Date.now()));
  const { pushed, counts, status } = await pushOrFallBack(context, request, image, options);
  const referrers = options.referrers
    ? await carryReferrers(context, pushed, image)
    : { digests: [], counts: NO_PUSHES };
  return {
    name: formatReference(pushed.destination),
    digest: pushed.root.digest,
    status,
    ...counts,
    referrers: referrers.digests,
  };
}

interface Pushed {
  readonly pushed: PushContentRequest;
  readonly counts: PushCounts;
  readonly status: PushResult['status'];
}

async function pushOrFallBack(
  context: StoreContext,
  request: PushContentRequest,
  image: ImageRow,
  { sourceOf = async () => undefined, signal, onProgress }: PushOptions,
): Promise<Pushed> {
  const isMade = MADE_HERE.test(image.source);
  if (!isMade && (await isPushed(request))) return { pushed: request, counts: NO_PUSHES, status: 'present' };
  await using _blobs = await bringBlobsBack(context, [image], sourceOf, { signal, onProgress });
  if (isMade) return await pushMade(request);
  try {
    return { pushed: request, counts: await pushContent(request), status: 'pushed' };
  } catch (error) {
    const own = storedDescriptor(context, image.manifest);
    const isPartial = isTslayerError(error, 'NOT_FOUND') && own && own.digest !== request.root.digest;
    if (!isPartial || !(await isIncomplete(request))) throw error;
    const message = `only ${image.platform} of ${image.name} is here: pushing that image without its index`;
    request.onProgress?.({ type: 'warning', message });
    const alone = { ...request, root: own };
    if (await isPushed(alone)) return { pushed: alone, counts: NO_PUSHES, status: 'present' };
    return { pushed: alone, counts: await pushContent(alone), status: 'pushed' };
  }
}

/** What the store says of images that its own commands made. */
const MADE_HERE = /^(?:build|commit|import|rebase|squash)\b/;

/** What was made here is hardly there: its blobs go while the registry is asked. */
async function pushMade(request: PushContentRequest): Promise<Pushed> {
  const there = isPushed(request);
  // It is awaited when the blobs are there, or else they tell what is wrong.
  there.catch(() => undefined);
  const counts = await pushContent(request, there);
  return { pushed: request, counts, status: (await there) ? 'present' : 'pushed' };
}

async function isIncomplete({ reader, root }: PushContentRequest): Promise<boolean> {
  const { manifests } = await closureOf(reader, [root]);
  return missingChildren(manifests).length > 0;
}

/** The image may be known by several names; the referrers are where it was pulled from. */
async function carryReferrers(
  context: StoreContext,
  pushed: PushContentRequest,
  image: ImageRow,
): Promise<{ readonly digests: readonly Digest[] }> {
  const { client, reader, root, destination, signal, onProgress } = pushed;
  const { manifests } = await closureOf(reader, [root]);
  const subjects = manifests.map((node) => node.descriptor.digest);
  const digests = new Set<Digest>();
  for (const from of namesOf(context, image)) {
    if (nameOf(from) === nameOf(destination)) continue;
    const copied = await copyReferrers({ client, from, to: destination, subjects, signal, onProgress });
    for (const digest of copied.digests) digests.add(digest);
  }
  return { digests: [...digests] };
}

/** Repositories that the image is known to have been pulled from: a name that a commit gave is in no registry. */
function namesOf({ metadata }: StoreContext, image: ImageRow): Reference[] {
  const rows = metadata.images.byDigest(image.target).filter((row) => isRegistry(row.source));
  return [...new Map(rows.map((row) => [row.name, parseReference(row.name)])).values()];
}

const MAX_MOUNT_SOURCES = 3;

/** Repositories of the destination's registry that a blob was pulled from or pushed to, by the names that hold it. */
function repositoriesWith({ metadata }: StoreContext, digest: Digest, destination: Reference): string[] {
  const others = metadata.images.namesWith(digest, `${destination.registry}/`, nameOf(destination));
  const found = new Set(others.map((name) => parseReference(name).repository));
  return [...found].slice(0, MAX_MOUNT_SOURCES);
}
