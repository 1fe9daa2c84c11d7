/** Pushing blobs: each takes a transfer slot for as long as it is on its way. */
import type { PushBlobOptions, PushOutcome, Repository, UploadSource } from '../client.ts';
import type { Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import type { Slots } from '../transport/slots.ts';
import type { Throttle } from '../transport/throttle.ts';
import { Upload } from './upload.ts';

export class BlobPusher {
  readonly #router: Router;
  readonly #requester: Requester;
  readonly #slots: Slots;
  readonly #throttle: Throttle;

  constructor(router: Router, requester: Requester, slots: Slots, throttle: Throttle) {
    this.#router = router;
    this.#requester = requester;
    this.#slots = slots;
    this.#throttle = throttle;
  }

  async push(repository: Repository, source: UploadSource, options: PushBlobOptions = {}): Promise<PushOutcome> {
    const { mountFrom = [], memory, ...rest } = options;
    return await this.#router.first(repository, 'push', rest, async (endpoint, effort) => {
      const whole = { ...effort, digest: source.descriptor.digest };
      const target = { endpoint, repository, source, memory };
      const upload = new Upload(this.#requester, this.#throttle, target, whole);
      const release = await this.#slots.take(rest.signal);
      try {
        return await upload.run(mountFrom);
      } finally {
        release();
      }
    });
  }
}
