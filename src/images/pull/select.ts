/** From a name's target to the manifest that is wanted, and to all the others when those are wanted too. */
import pLimit from 'p-limit';
import { TslayerError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { ImageIndex, ImageManifest, Manifest } from '../../oci/manifest.ts';
import { formatPlatform, hostPlatform, type Platform, platformMatches, selectPlatform } from '../../oci/platform.ts';
import type { OnProgress } from '../../progress.ts';
import type { Documents, FetchedImage } from './documents.ts';

/** Indexes may name indexes; nobody needs more levels than this. */
const MAX_DEPTH = 4;
const MAX_MANIFESTS = 1000;

export interface Selection {
  /** The image that is unpacked and that the name means here. */
  readonly own: FetchedImage;
  /** With all platforms: the other images of the index. */
  readonly others: readonly FetchedImage[];
}

export interface SelectOptions {
  readonly name: string;
  /** As asked for; undefined is this machine's. */
  readonly platform: Platform | undefined;
  readonly allPlatforms: boolean;
  readonly onProgress: OnProgress | undefined;
  /** Told of the manifest that is chosen, while its config is still to come. */
  readonly onManifest: (manifest: ImageManifest) => void;
}

interface Document {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

export async function selectImages(documents: Documents, target: Document, options: SelectOptions): Promise<Selection> {
  const wanted = options.platform ?? hostPlatform();
  let chosen = target;
  for (let depth = 0; chosen.manifest.kind === 'index'; depth++) {
    if (depth === MAX_DEPTH)
      throw new TslayerError('UNSUPPORTED', `${options.name} nests more than ${MAX_DEPTH} indexes`);
    chosen = await documents.manifest(selectPlatform(chosen.manifest.manifests, wanted, options.name));
  }
  options.onManifest(chosen.manifest);
  const own = await documents.image(chosen.descriptor, chosen.manifest);
  if (target.manifest.kind === 'manifest') checkPlatform(own, wanted, options);
  const others =
    options.allPlatforms && target.manifest.kind === 'index'
      ? await allImages(documents, target.manifest, new Set([chosen.descriptor.digest]), 0)
      : [];
  return { own, others };
}

/** A name without an index has one platform: asked for another, it does not serve; by default it is only told. */
function checkPlatform({ config }: FetchedImage, wanted: Platform, options: SelectOptions): void {
  if (config === undefined || config.platform.os === '' || platformMatches(wanted, config.platform)) return;
  const message = `${options.name} is an image for ${formatPlatform(config.platform)}, not ${formatPlatform(wanted)}`;
  if (options.platform) throw new TslayerError('UNSUPPORTED', message);
  options.onProgress?.({ type: 'warning', message });
}

async function allImages(
  documents: Documents,
  index: ImageIndex,
  seen: Set<string>,
  depth: number,
): Promise<FetchedImage[]> {
  if (depth === MAX_DEPTH) throw new TslayerError('UNSUPPORTED', `indexes nest more than ${MAX_DEPTH} levels`);
  const limit = pLimit(6);
  const wanted = index.manifests.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
  if (seen.size > MAX_MANIFESTS) throw new TslayerError('LIMIT_EXCEEDED', `more than ${MAX_MANIFESTS} manifests`);
  const found = await Promise.all(
    wanted.map((descriptor) =>
      limit(async () => {
        const document = await documents.manifest(descriptor);
        return document.manifest.kind === 'manifest'
          ? [await documents.image(document.descriptor, document.manifest)]
          : allImages(documents, document.manifest, seen, depth + 1);
      }),
    ),
  );
  return found.flat();
}
