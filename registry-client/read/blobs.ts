/** Blobs: fetching and looking. Distribution Specification, "Pulling blobs". */
import { isTslayerError, TslayerError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { nameOf } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { BlobStream, FetchBlobOptions, Repository } from '../client.ts';
import { type Endpoint, endpointName } from '../endpoint.ts';
import type { Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import { pullScope } from '../scopes.ts';
import type { Slots } from '../transport/slots.ts';
import type { Throttle } from '../transport/throttle.ts';
import { blobStream } from './blob-stream.ts';
import { foreignEndpoints } from './foreign.ts';
import { ParallelBlob } from './parallel-blob.ts';
import type { Part } from './range-request.ts';
import { type BlobSource, type BlobTransfer, ResumingBlob } from './resuming-blob.ts';

export interface BlobReaderParts {
  readonly router: Router;
  readonly requester: Requester;
  readonly slots: Slots;
  readonly throttle: Throttle;
  /** Whether foreign layers are fetched from the addresses in their descriptors. */
  readonly foreignLayers: boolean;
}

export class BlobReader {
  readonly #parts: BlobReaderParts;

  constructor(parts: BlobReaderParts) {
    this.#parts = parts;
  }

  async fetch(repository: Repository, descriptor: Descriptor, options: FetchBlobOptions = {}): Promise<BlobStream> {
    const { offset = 0, avoid = [], transient = false, ...rest } = options;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > descriptor.size) {
      throw new TslayerError('INVALID_ARGUMENT', `offset ${offset} is outside a blob of ${descriptor.size} bytes`);
    }
    const { slots, throttle } = this.#parts;
    const endpoints = await this.#endpoints(repository, descriptor, avoid);
    const release = await slots.take(rest.signal);
    try {
      const source = await this.#open({ descriptor, start: offset, end: descriptor.size, transient }, endpoints, rest);
      return blobStream({ source, throttle, release, signal: rest.signal });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Asked for neither by tag nor by digest: content is its own proof, and comes from any mirror. */
  async #endpoints(
    { registry, repository }: Repository,
    descriptor: Descriptor,
    avoid: readonly string[],
  ): Promise<Endpoint[]> {
    const endpoints = await this.#parts.router.candidates({ registry, repository }, 'pull');
    const foreign = foreignEndpoints(descriptor, endpoints.at(-1) as Endpoint, this.#parts.foreignLayers);
    const isAvoided = (endpoint: Endpoint): boolean => avoid.includes(endpointName(endpoint));
    const all = [...endpoints, ...foreign];
    return [...all.filter((endpoint) => !isAvoided(endpoint)), ...all.filter(isAvoided)];
  }

  async #open(part: Part, endpoints: readonly Endpoint[], options: OperationOptions): Promise<BlobSource> {
    const { requester, router } = this.#parts;
    const { digest, size } = part.descriptor;
    const transfer = (wanted: Part): BlobTransfer => ({
      ...wanted,
      chain: router.chain(endpoints),
      requester,
      options: { ...options, digest },
    });
    const main = await new ResumingBlob(transfer(part)).open();
    const { parallelBytes, rangesPerBlob } = requester.settings.limits;
    if (parallelBytes === 0 || rangesPerBlob < 2 || size - part.start < parallelBytes) return main;
    // Segments wait in memory, and keep what they get.
    const segment = (start: number, end: number): Promise<BlobSource> =>
      new ResumingBlob(transfer({ ...part, start, end, transient: false, rangesOnly: true })).open();
    return new ParallelBlob(main, segment, size, requester.settings.limits);
  }

  async has({ registry, repository }: Repository, digest: Digest, options?: OperationOptions): Promise<boolean> {
    const { router, requester } = this.#parts;
    const what = `cannot look for ${digest} in ${nameOf({ registry, repository })}`;
    try {
      return await router.first({ registry, repository }, 'pull', options, async (endpoint, effort) => {
        const path = `${endpoint.repository}/blobs/${digest}`;
        const scopes = [pullScope(endpoint)];
        const ask = { method: 'HEAD', path, scopes, expect: [200], what, channel: 'data' } as const;
        (await requester.send(endpoint, ask, effort)).body.destroy();
        return true;
      });
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }
}
