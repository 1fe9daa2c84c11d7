/**
 * Fetches and unpacks layers, several at once. Each layer streams once: source → hash and blob file → unpacker →
 * driver. Nothing is read back from the disk but what an earlier pull left there. Between processes a layer belongs
 * to the one that holds its lock; the others wait and find it done.
 */
import pLimit, { type LimitFunction } from 'p-limit';
import type { SinkPlan } from '../../archive/sink.ts';
import { asTslayerError, TslayerError, throwIfAborted } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type DiffID } from '../../oci/digest.ts';
import type { LayerState, OperationOptions } from '../../progress.ts';
import { moduleUrl } from '../../sys/module-url.ts';
import type { StoreContext } from '../context.ts';
import { type BlobReader, flowBlob } from './blob-flow.ts';
import { recordBlob } from './documents.ts';
import type { LayerJob, LayerTarget } from './plan.ts';
import type { PullSource } from './source.ts';
import type { Unpacked } from './unpacker.ts';

export interface ObtainOptions extends OperationOptions {
  readonly context: StoreContext;
  /** Undefined: everything has to be in the store already. */
  readonly source: PullSource | undefined;
}

/** Layers that are unpacked and wait for the disk, beside those being worked on: each has files open. */
const WAITING = 24;

/** How often a waiting process looks how far the other one is. */
const FOLLOW_MS = 100;

/** Does all jobs; the first failure stops the others. The caller leases what the jobs name. Bytes fetched. */
export async function obtainLayers(jobs: readonly LayerJob[], options: ObtainOptions): Promise<number> {
  const { context } = options;
  const { concurrency } = context.config;
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const [begun, working] = [pLimit(concurrency + WAITING), pLimit(concurrency)];
  const work = new LayerWork({ ...options, signal });
  const sequential = context.metadata.settings.get('stacking') === 'sequential';
  const isNew = ({ target }: LayerJob): boolean => target !== undefined && !context.metadata.layers.get(target.key);
  using _expected = await context.layers.expect(jobs.filter(isNew).length);
  let below: Promise<void> | undefined;
  const running = jobs.map((job) => {
    const parent = sequential && job.target ? below : undefined;
    const done = begun(() => untilFree(working, (free) => work.begin(job, parent, free))).then((finish) => finish());
    if (job.target) below = done;
    // The first failure is the one to tell; what it stops fails in its wake.
    done.catch((error) => stop.abort(asTslayerError(error)));
    return done;
  });
  await Promise.allSettled(running);
  if (stop.signal.aborted) throw stop.signal.reason;
  return work.fetchedBytes;
}

/** Does `work` in a place of `limit`, which it may free before it is done. */
async function untilFree<T>(limit: LimitFunction, work: (free: () => void) => Promise<T>): Promise<T> {
  const place = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<Promise<T>>();
  void limit(() => {
    const done = work(place.resolve);
    begun.resolve(done);
    void Promise.allSettled([done]).then(() => place.resolve());
    return place.promise;
  });
  return await begun.promise;
}

class LayerWork {
  fetchedBytes = 0;
  readonly #options: ObtainOptions;

  constructor(options: ObtainOptions) {
    this.#options = options;
  }

  /**
   * Does a job as far as it can be done now. Over a parent that is still being unpacked (drivers that stack
   * sequentially) that is the fetching; the unpacking is what it returns, to be done outside the queue.
   * @param free called when there is nothing left to do but to wait for the disk
   */
  async begin(job: LayerJob, parent: Promise<void> | undefined, free: () => void): Promise<() => Promise<void>> {
    throwIfAborted(this.#options.signal);
    if (parent !== undefined && !(await isDone(parent))) {
      await this.#keepBlob(job.descriptor);
      return async () => {
        await parent;
        await this.#obtain(job, () => undefined);
      };
    }
    await this.#obtain(job, free);
    return async () => {};
  }

  async #obtain(job: LayerJob, free: () => void): Promise<void> {
    const { context } = this.#options;
    if (this.#isThere(job)) return this.#tell(job.descriptor, 'exists');
    if (job.target === undefined) {
      await this.#obtainBlob(job);
    } else {
      using _lock = await this.#lock(job.descriptor, job.target);
      // Another process may have unpacked it while this one waited.
      if (context.metadata.layers.get(job.target.key)) await this.#obtainBlob(job);
      else await this.#unpackLayer(job.descriptor, job.target, free);
    }
    this.#tell(job.descriptor, 'done');
  }

  /** Waits for a process that works on the layer, and tells how far that one is. */
  async #lock({ digest, size }: Descriptor, { key }: LayerTarget): Promise<Disposable> {
    const { context, signal, onProgress } = this.#options;
    let watch: NodeJS.Timeout | undefined;
    const onWait = () => {
      onProgress?.({ type: 'layer', digest, state: 'waiting', bytes: 0 });
      watch = setInterval(() => {
        const bytes = context.blobs.partialSize(digest);
        if (bytes > 0) onProgress?.({ type: 'transfer', digest, bytes, total: size });
      }, FOLLOW_MS);
    };
    try {
      return await context.layers.lock(key, { signal, onWait });
    } finally {
      clearInterval(watch);
    }
  }

  /** Whether nothing is left to do. Rows are enough: what the caller leased does not go away. */
  #isThere({ descriptor, target, diffId }: LayerJob): boolean {
    const { metadata, config } = this.#options.context;
    if (target && metadata.layers.get(target.key) === undefined) return false;
    const needsBlob = target === undefined || (config.keepBlobs && this.#options.source !== undefined);
    if (!metadata.blobs.has(descriptor.digest)) return !needsBlob;
    return diffId === undefined || this.#isKnown(descriptor, diffId);
  }

  /** Whether the blob was seen to hold this very tar; having been seen with another one is an error. */
  #isKnown(descriptor: Descriptor, diffId: DiffID): boolean {
    const known = this.#options.context.metadata.blobs.diffOf(descriptor.digest);
    if (known) requireDiffId(descriptor, diffId, known.diffId);
    return known !== undefined;
  }

  /** The blob of a layer that is unpacked already, or is not to be. What it holds is checked when that is known. */
  async #obtainBlob(job: LayerJob): Promise<void> {
    const { descriptor, diffId } = job;
    if (this.#isThere(job)) return;
    if (diffId === undefined || this.#isKnown(descriptor, diffId)) return this.#keepBlob(descriptor);
    await this.#flow(descriptor, async (bytes, stored) => {
      const sink = { module: moduleUrl('./null-sink', import.meta.url).href, options: {}, ownThread: false };
      const unpacked = await this.#unpack({ descriptor, diffId }, bytes, sink, undefined);
      await stored();
      requireDiffId(descriptor, diffId, unpacked.diffId);
      this.#options.context.metadata.transaction(() => this.#record(descriptor, unpacked));
    });
  }

  /** The blob as it is. */
  async #keepBlob(descriptor: Descriptor): Promise<void> {
    const { metadata } = this.#options.context;
    if (metadata.blobs.has(descriptor.digest)) return;
    await this.#flow(descriptor, async (_bytes, stored) => {
      await stored();
      metadata.transaction(() => this.#record(descriptor, undefined));
    });
    this.#tell(descriptor, 'downloaded');
  }

  async #unpackLayer(descriptor: Descriptor, target: LayerTarget, free: () => void): Promise<void> {
    const { layers, metadata } = this.#options.context;
    await this.#flow(descriptor, async (bytes, stored) => {
      await using writer = await layers.begin(target.key, target.parent);
      const { diffId } = target;
      const unpacked = await this.#unpack({ descriptor, diffId }, bytes, writer.sink, writer.indexPath);
      free();
      await stored();
      requireDiffId(descriptor, diffId, unpacked.diffId);
      await writer.commit(unpacked, () => {
        this.#record(descriptor, unpacked);
        if (this.#isSequential) metadata.snapshots.putChain(target.chainId, target.parent, target.key, Date.now());
      });
    });
  }

  /** Then the next layer is unpacked over this one, whose stack must be known by now. */
  get #isSequential(): boolean {
    return this.#options.context.metadata.settings.get('stacking') === 'sequential';
  }

  async #unpack(
    { descriptor, diffId }: { readonly descriptor: Descriptor; readonly diffId: DiffID },
    source: AsyncIterable<Uint8Array>,
    sink: SinkPlan,
    indexPath: string | undefined,
  ): Promise<Unpacked> {
    const { context, signal, onProgress } = this.#options;
    const { digest, size } = descriptor;
    const onBytes = (bytes: number) => onProgress?.({ type: 'unpack', digest, bytes });
    const { limits } = context.config;
    const algorithm = algorithmOf(diffId);
    const unpacked = await context.unpacker.unpack({
      source,
      size,
      sink,
      limits,
      indexPath,
      algorithm,
      signal,
      onBytes,
    });
    for (const message of unpacked.result.warnings) onProgress?.({ type: 'warning', message });
    return unpacked;
  }

  #record(descriptor: Descriptor, unpacked: Unpacked | undefined): void {
    const { metadata } = this.#options.context;
    recordBlob(metadata, descriptor, 'layer');
    if (unpacked === undefined) return;
    const { diffId, tarSize } = unpacked;
    metadata.blobs.putDiff({ digest: descriptor.digest, diffId, tarSize });
  }

  #flow(descriptor: Descriptor, reader: BlobReader): Promise<void> {
    const { context, source, signal, onProgress } = this.#options;
    const onFetched = (bytes: number) => {
      this.fetchedBytes += bytes;
    };
    return flowBlob(descriptor, reader, { context, source, signal, onProgress, onFetched });
  }

  #tell(descriptor: Descriptor, state: LayerState): void {
    const { digest, size } = descriptor;
    this.#options.onProgress?.({ type: 'layer', digest, state, bytes: state === 'waiting' ? 0 : size });
  }
}

function requireDiffId(descriptor: Descriptor, expected: DiffID, found: DiffID): void {
  if (found === expected) return;
  throw new TslayerError(
    'DIFF_ID_MISMATCH',
    `layer ${descriptor.digest} unpacks to ${found}, the image's config says ${expected}`,
  );
}

/** Whether the promise is settled by now. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}
