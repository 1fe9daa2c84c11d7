/**
 * Pull: resolve → lease → documents → layers → names. An image that is there costs one request and one row.
 * Everything before the last transaction is leased, so that no collector takes it; the transaction names it all.
 */
import { requireSpace } from '../../blobs/space.ts';
import { isTslayerError } from '../../errors.ts';
import type { ImageRow } from '../../metadata/images.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { formatPlatform, hostPlatform, type Platform } from '../../oci/platform.ts';
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import { changeNames, publishNames } from '../layout-index.ts';
import { type Lease, openLease } from '../lease.ts';
import { putImage } from '../name-image.ts';
import { Documents, recordDocuments } from './documents.ts';
import { dropUnpackedBlobs } from './drop-blobs.ts';
import { obtainLayers } from './layers.ts';
import { type LayerJob, mergePlans, planFetch, planUnpack, requireUnpackable } from './plan.ts';
import { type Selection, selectImages } from './select.ts';
import type { PullSource } from './source.ts';

export interface PullRequest {
  /** Names to put (see `imageName`); the first is the one that messages use. */
  readonly names: readonly [string, ...string[]];
  readonly source: PullSource;
  /** The digest that the reference itself holds: then nothing has to be resolved. */
  readonly digest?: Digest | undefined;
  /** Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** Keep all platforms of an index; this machine's (or `platform`) is unpacked. Default false. */
  readonly allPlatforms?: boolean | undefined;
  /** Default true. */
  readonly unpack?: boolean | undefined;
}

export interface PullResult {
  readonly name: string;
  /** What the name stands for: the index or manifest. `NAME@digest` pulls the same again. */
  readonly digest: Digest;
  readonly manifest: Digest;
  /** The image id: digest of the config. */
  readonly imageId: Digest;
  /** `linux/amd64`; empty when the config does not say. */
  readonly platform: string;
  /** `present`: nothing had to be done. */
  readonly status: 'present' | 'new' | 'updated';
  readonly unpacked: boolean;
  /** Compressed bytes of layers that came from the source. */
  readonly fetchedBytes: number;
}

/** A row that was used within this time is not written again: a no-op pull stays a read. */
const TOUCH_MS = 60 * 60 * 1000;

/**
 * Pulls one image under one or more names.
 * @throws NOT_FOUND, DENIED, NETWORK of the source; DIGEST_MISMATCH, SIZE_MISMATCH, DIFF_ID_MISMATCH, MALFORMED,
 *   UNSAFE_LAYER, LIMIT_EXCEEDED of its content; UNSUPPORTED for a platform or media type; NO_SPACE; ABORTED.
 *   After NETWORK and ABORTED what was fetched is kept for the next pull, after the others it is removed.
 */
export async function pullImage(
  context: StoreContext,
  request: PullRequest,
  options: OperationOptions = {},
): Promise<PullResult> {
  const known = request.names.map((name) => context.metadata.images.get(name));
  const target = known[0] === undefined ? undefined : await currentTarget(context, request, options);
  if (target && known.every((row) => row !== undefined && isCurrent(row, target.digest, request))) {
    return presentResult(context, known as ImageRow[]);
  }
  await using lease = await openLease(context, `pull ${request.names[0]}`);
  try {
    return await new Pull(context, request, options, lease).run(target);
  } catch (error) {
    if (isTslayerError(error, 'NETWORK') || isTslayerError(error, 'ABORTED')) lease.keep();
    throw error;
  }
}

/** What the name stands for now: one request, or none when it holds its digest and the store has that. */
async function currentTarget(
  context: StoreContext,
  request: PullRequest,
  options: OperationOptions,
): Promise<Descriptor | undefined> {
  if (request.digest === undefined) return (await request.source.resolve(options)).descriptor;
  const row = context.metadata.blobs.get(request.digest);
  return row && { mediaType: row.mediaType, digest: row.digest, size: row.size };
}

function isCurrent(row: ImageRow, target: Digest, request: PullRequest): boolean {
  if (row.target !== target) return false;
  if (request.unpack !== false && !row.unpacked) return false;
  const isIndex = row.target !== row.manifest;
  if (isIndex && request.allPlatforms && !row.allPlatforms) return false;
  return !isIndex || row.platform === formatPlatform(request.platform ?? hostPlatform());
}

function presentResult(context: StoreContext, rows: readonly ImageRow[]): PullResult {
  const now = Date.now();
  const stale = rows.filter((row) => now - row.usedAt > TOUCH_MS);
  if (stale.length > 0) {
    context.metadata.transaction(() => {
      for (const row of stale) context.metadata.images.touch(row.name, now);
    });
  }
  const row = rows[0] as ImageRow;
  return {
    name: row.name,
    digest: row.target,
    manifest: row.manifest,
    imageId: row.config,
    platform: row.platform,
    status: 'present',
    unpacked: row.unpacked,
    fetchedBytes: 0,
  };
}

class Pull {
  readonly #context: StoreContext;
  readonly #request: PullRequest;
  readonly #options: OperationOptions;
  readonly #lease: Lease;
  readonly #documents: Documents;

  constructor(context: StoreContext, request: PullRequest, options: OperationOptions, lease: Lease) {
    this.#context = context;
    this.#request = request;
    this.#options = options;
    this.#lease = lease;
    this.#documents = new Documents(context, request.source, lease, options);
  }

  async run(wanted: Descriptor | undefined): Promise<PullResult> {
    try {
      const { names, platform, allPlatforms = false } = this.#request;
      const target = await this.#documents.manifest(wanted);
      const endpoint = this.#documents.endpoint ?? 'the store';
      const { digest } = target.descriptor;
      this.#options.onProgress?.({ type: 'resolved', reference: names[0], digest, endpoint });
      const select = { name: names[0], platform, allPlatforms, onProgress: this.#options.onProgress };
      const selection = await selectImages(this.#documents, target, select);
      const fetchedBytes = await this.#obtain(selection);
      await this.#documents.stored();
      return await this.#finish(target.descriptor, selection, fetchedBytes);
    } finally {
      // Writes of documents that a failure overtook: nothing may touch the store after the lease is gone.
      await this.#documents.settle();
    }
  }

  get #unpacks(): boolean {
    return this.#request.unpack !== false;
  }

  async #obtain({ own, others }: Selection): Promise<number> {
    const jobs = mergePlans([await this.#planOwn(own), ...others.map(planFetch)]);
    const targets = jobs.flatMap((job) => job.target ?? []);
    this.#lease.hold({
      blobs: jobs.map((job) => job.descriptor.digest),
      layers: targets.map((target) => target.key),
      chains: targets.map((target) => target.chainId),
    });
    this.#announce(jobs);
    const context = this.#context;
    return await obtainLayers(jobs, { ...this.#options, context, source: this.#request.source });
  }

  async #planOwn(own: Selection['own']): Promise<LayerJob[]> {
    if (!this.#unpacks) return planFetch(own);
    requireUnpackable(own);
    // Known without the driver, unless it is still to be chosen.
    const stacking = this.#context.metadata.settings.get('stacking') ?? (await this.#context.driver()).stacking;
    return planUnpack(own, stacking === 'sequential' ? 'sequential' : 'independent');
  }

  #announce(jobs: readonly LayerJob[]): void {
    const { metadata, paths } = this.#context;
    const layers = jobs.map(({ descriptor, target }) => ({
      digest: descriptor.digest,
      size: descriptor.size,
      present: metadata.blobs.has(descriptor.digest) && (!target || metadata.layers.get(target.key) !== undefined),
    }));
    const totalBytes = layers.reduce((sum, layer) => sum + layer.size, 0);
    this.#options.onProgress?.({ type: 'plan', layers, totalBytes });
    const missing = jobs.filter((job) => !metadata.blobs.has(job.descriptor.digest));
    const bytes = missing.reduce((sum, job) => sum + job.descriptor.size, 0);
    if (bytes > 0) requireSpace(paths.root, bytes, this.#request.names[0]);
    if (this.#unpacks) this.#context.unpacker.warm(missing.map((job) => job.descriptor.size));
  }

  async #finish(target: Descriptor, { own }: Selection, fetchedBytes: number): Promise<PullResult> {
    const context = this.#context;
    const { names, allPlatforms = false } = this.#request;
    const name = names[0];
    const before = context.metadata.images.get(name);
    const { manifest, config } = own;
    const platform = config && config.platform.os !== '' ? formatPlatform(config.platform) : '';
    const created = Date.parse(config?.created ?? '');
    changeNames(context, () => {
      recordDocuments(context, this.#documents.records);
      putImage(context, {
        names,
        target: target.digest,
        manifest: own.descriptor.digest,
        config: manifest.config.digest,
        platform,
        unpacked: this.#unpacks,
        allPlatforms: allPlatforms || target.digest === own.descriptor.digest,
        source: this.#documents.endpoint ?? before?.source ?? '',
        createdAt: Number.isNaN(created) ? null : created,
        diffIds: config?.diffIDs ?? [],
      });
      this.#lease.end();
    });
    await publishNames(context);
    if (this.#unpacks && !context.config.keepBlobs) await dropUnpackedBlobs(context, manifest.layers);
    return {
      name,
      digest: target.digest,
      manifest: own.descriptor.digest,
      imageId: manifest.config.digest,
      platform,
      status: before === undefined ? 'new' : 'updated',
      unpacked: this.#unpacks,
      fetchedBytes,
    };
  }
}
