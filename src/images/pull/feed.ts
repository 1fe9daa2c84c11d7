/**
 * A blob on its way into the store: what is there already, then what the source sends, each chunk written and hashed
 * before it is handed on. Whoever reads along (the unpacker) may stop; the rest is still fetched, since the blob is
 * wanted too and only its whole says whether a broken archive was sent so or broken on the way.
 */
import type { BlobStream } from '../../../registry-client/client.ts';
import type { BlobInfo, Ingest } from '../../blobs/blob-store.ts';

export interface FeedOptions {
  readonly ingest: Ingest;
  /** Opens the source at an offset. */
  readonly open: (offset: number) => Promise<BlobStream>;
  /** Bytes of the blob that are there. */
  readonly onBytes: (bytes: number) => void;
}

export class BlobFeed implements AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Bytes that came from the source. */
  fetched = 0;
  /** Who sent them. */
  endpoint: string | undefined;
  readonly #bytes: AsyncGenerator<Uint8Array>;
  #stored: Promise<BlobInfo> | undefined;

  constructor(options: FeedOptions) {
    this.#bytes = this.#flow(options);
  }

  /** Without `return`: a reader that stops does not stop the blob. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#bytes.next() };
  }

  /** Fetches what nobody has read yet; resolves when the blob is verified, durable and has its name. */
  async finish(): Promise<void> {
    for await (const _chunk of this);
    await this.#stored;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes.return(undefined);
    await this.#stored?.catch(() => undefined);
  }

  async *#flow({ ingest, open, onBytes }: FeedOptions): AsyncGenerator<Uint8Array> {
    if (ingest.offset > 0) yield* ingest.readPartial();
    if (ingest.offset < ingest.descriptor.size) {
      const stream = await open(ingest.offset);
      this.endpoint = stream.endpoint;
      try {
        for await (const chunk of stream) {
          ingest.write(chunk);
          this.fetched += chunk.length;
          onBytes(ingest.offset);
          yield chunk;
        }
      } finally {
        stream.close();
      }
    }
    // Not awaited: the reader finishes its layer while the blob is synced.
    this.#stored = ingest.commit();
    this.#stored.catch(() => undefined);
  }
}
