/** Blobs: fetching and looking. Distribution Specification, "Pulling blobs". */

import { isTslayerError, TslayerError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { nameOf } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { BlobStream, FetchBlobOptions, Repository } from '../client.ts';
import type { Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import { pullScope } from '../scopes.ts';
import { ResumingBlob } from './blob-stream.ts';

export class BlobReader {
  readonly #router: Router;
  readonly #requester: Requester;

  constructor(router: Router, requester: Requester) {
    this.#router = router;
    this.#requester = requester;
  }

  async fetch(repository: Repository, descriptor: Descriptor, options: FetchBlobOptions = {}): Promise<BlobStream> {
    const { offset = 0, ...rest } = options;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > descriptor.size) {
      throw new TslayerError('INVALID_ARGUMENT', `offset ${offset} is outside a blob of ${descriptor.size} bytes`);
    }
    // A blob is asked for by digest, which is what mirrors for digests only are for.
    const endpoints = await this.#router.candidates({ ...repository, digest: descriptor.digest }, 'pull');
    const stream = new ResumingBlob({
      descriptor,
      endpoints,
      start: offset,
      end: descriptor.size,
      requester: this.#requester,
      router: this.#router,
      options: { ...rest, digest: descriptor.digest },
    });
    return await stream.open();
  }

  async has(repository: Repository, digest: Digest, options?: OperationOptions): Promise<boolean> {
    try {
      return await this.#router.first({ ...repository, digest }, 'pull', options, async (endpoint, effort) => {
        const response = await this.#requester.send(
          endpoint,
          {
            method: 'HEAD',
            path: `${endpoint.repository}/blobs/${digest}`,
            scopes: [pullScope(endpoint)],
            expect: [200],
            what: `cannot look for ${digest} in ${nameOf(repository)}`,
            channel: 'data',
          },
          effort,
        );
        response.body.destroy();
        return true;
      });
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }
}
