/** `tslayer load`, and pulls from `oci:`, `oci-archive:` and `docker-archive:`: images of an archive into the store. */
import { TslayerError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hostPlatform, type Platform, platformMatches } from '../oci/platform.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import { closureOf, missingChildren } from '../transports/closure.ts';
import type { ArchiveLocation } from '../transports/location.ts';
import { detectArchive, openArchive, referencesOf, selectImage } from '../transports/open.ts';
import type { ArchivedImage, ImageArchive } from '../transports/source.ts';
import type { StoreContext } from './context.ts';
import { imageName } from './name-image.ts';
import { type PullResult, pullImage } from './pull/pull.ts';
import { archiveSource } from './pull/source.ts';

export interface LoadOptions extends OperationOptions {
  /** Default: this machine's, or the only one that the archive has. */
  readonly platform?: Platform | undefined;
  /** Default true. */
  readonly unpack?: boolean | undefined;
  /** Instead of the names in the archive; for an archive of one image, or one that is selected. */
  readonly name?: Reference | undefined;
  /** For `-`, instead of standard input. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/** All images of an archive file (`-`: standard input) or layout directory. */
export async function loadImages(
  context: StoreContext,
  path: string,
  options: LoadOptions = {},
): Promise<PullResult[]> {
  await using archive = await detectArchive(path, spoolOptions(context, options));
  if (archive.images.length === 0) throw new TslayerError('NOT_FOUND', `${archive.label} has no images`);
  if (options.name && archive.images.length > 1) {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `${archive.label} has ${archive.images.length} images: they keep their names`,
    );
  }
  const results: PullResult[] = [];
  for (const image of archive.images) results.push(await loadOne(context, archive, image, path, options));
  return results;
}

/** One image by its location. */
export async function pullArchive(
  context: StoreContext,
  location: ArchiveLocation,
  options: LoadOptions = {},
): Promise<PullResult> {
  await using archive = await openArchive(location, spoolOptions(context, options));
  const image = selectImage(archive, location.name);
  return await loadOne(context, archive, image, location.path, options);
}

function spoolOptions(context: StoreContext, { signal, stdin }: LoadOptions): Parameters<typeof detectArchive>[1] {
  return { signal, stdin, tmpDir: context.paths.tmp, maxBytes: context.config.limits.bytes };
}

async function loadOne(
  context: StoreContext,
  archive: ImageArchive,
  image: ArchivedImage,
  path: string,
  options: LoadOptions,
): Promise<PullResult> {
  const references = options.name ? [options.name] : referencesOf(image, path);
  const [first = untagged(image.root), ...more] = references.map(imageName);
  const { platform, allPlatforms } = await platformsOf(archive, image.root, options.platform);
  return await pullImage(
    context,
    {
      names: [first, ...more],
      source: archiveSource(archive, image.root, `${archive.label}`),
      platform,
      allPlatforms,
      unpack: options.unpack,
    },
    options,
  );
}

/** The store knows images by names: one without gets its digest for a name. */
function untagged({ digest }: Descriptor): string {
  return formatReference({ registry: 'localhost', repository: 'untagged', digest });
}

interface Platforms {
  readonly platform: Platform | undefined;
  /** Whether the archive has all that the index names: then all of it is kept. */
  readonly allPlatforms: boolean;
}

async function platformsOf(archive: ImageArchive, root: Descriptor, wanted: Platform | undefined): Promise<Platforms> {
  const { manifests } = await closureOf(archive, [root]);
  const index = manifests.find((node) => node.descriptor.digest === root.digest)?.manifest;
  if (index?.kind !== 'index') return { platform: wanted, allPlatforms: false };
  const allPlatforms = missingChildren(manifests).length === 0;
  if (wanted) return { platform: wanted, allPlatforms };
  const present = new Set(manifests.map((node) => node.descriptor.digest));
  const offered = index.manifests.flatMap((child) =>
    present.has(child.digest) && child.platform && child.platform.os !== 'unknown' ? [child.platform] : [],
  );
  // What was saved on another machine is loaded all the same.
  const fits = offered.some((platform) => platformMatches(hostPlatform(), platform));
  return { platform: fits ? undefined : offered[0], allPlatforms };
}
