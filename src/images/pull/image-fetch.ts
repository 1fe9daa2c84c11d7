/** The work of a pull that has something to do: documents, layers, and the transaction that names them. */
import { requireSpace } from '../../blobs/space.ts';
import { chainIDs } from '../../oci/chain-id.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { ImageManifest } from '../../oci/manifest.ts';
import { formatPlatform } from '../../oci/platform.ts';
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import { changeNames, publishNames } from '../layout-index.ts';
import type { Lease } from '../lease.ts';
import { putImage } from '../name-image.ts';
import { Documents, recordDocuments } from './documents.ts';
import { dropUnpackedBlobs } from './drop-blobs.ts';
import { obtainLayers } from './layers.ts';
import { type LayerJob, mergePlans, planFetch, planUnpack, requireUnpackable } from './plan.ts';
import type { PullRequest, PullResult } from './pull.ts';
import { type Selection, selectImages } from './select.ts';

/** One pull that has something to do. */
export class ImageFetch {
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
      const { onProgress } = this.#options;
      const onManifest = (manifest: ImageManifest) => this.#warmUp(manifest);
      const select = { name: names[0], platform, allPlatforms, onProgress, onManifest };
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
    const planned = mergePlans([await this.#planOwn(own), ...others.map(planFetch)]);
    const jobs = planned.filter((job) => !this.#isDropped(job));
    const targets = jobs.flatMap((job) => job.target ?? []);
    const dropped = jobs.length < planned.length ? chainIDs(own.config?.diffIDs ?? []) : [];
    this.#lease.hold({
      blobs: jobs.map((job) => job.descriptor.digest),
      layers: targets.map((target) => target.key),
      chains: [...targets.map((target) => target.chainId), ...dropped],
    });
    this.#announce(jobs);
    const context = this.#context;
    return await obtainLayers(jobs, { ...this.#options, context, source: this.#request.source });
  }

  /** A blob that is only to be kept, and that the store has dropped: its layer is unpacked. */
  #isDropped({ target, descriptor: { digest } }: LayerJob): boolean {
    const { metadata, config } = this.#context;
    if (target || metadata.blobs.has(digest) || (config.keepBlobs && !this.#request.isMade)) return false;
    const diff = metadata.blobs.diffOf(digest);
    return diff !== undefined && metadata.layers.hasDiff(diff.diffId);
  }

  async #planOwn(own: Selection['own']): Promise<LayerJob[]> {
    if (!this.#unpacks) return planFetch(own);
    requireUnpackable(own);
    // Known without the driver, unless it is still to be chosen.
    const stacking = this.#context.metadata.settings.get('stacking') ?? (await this.#context.driver()).stacking;
    return planUnpack(own, stacking === 'sequential' ? 'sequential' : 'independent');
  }

  /** Threads take as long to start as a config to come. */
  #warmUp({ layers }: ImageManifest): void {
    if (!this.#unpacks) return;
    const { metadata, unpacker } = this.#context;
    unpacker.warm(layers.filter(({ digest }) => !metadata.blobs.has(digest)).map(({ size }) => size));
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
    const canGo = this.#unpacks && !context.config.keepBlobs && this.#request.source.lasts;
    if (canGo) await dropUnpackedBlobs(context, manifest.layers);
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
