/** The unpacker as a pull sees it. The work is archive/pipeline's, which is loaded with the first layer. */
import type { Unpacked, UnpackRequest } from '../../archive/pipeline/request.ts';

export type { Unpacked, UnpackRequest };

export interface LayerUnpacker {
  /** Rejects with what the source threw, or MALFORMED, UNSAFE_LAYER, LIMIT_EXCEEDED, UNSUPPORTED, NO_SPACE, ABORTED. */
  unpack(request: UnpackRequest): Promise<Unpacked>;
  /** Tells of layers to come, of so many compressed bytes each, so that threads start while they are fetched. */
  warm(sizes: readonly number[]): void;
}

/** Loads the pipeline when it is first asked for; disposing ends its threads. */
export class LazyUnpacker implements LayerUnpacker, AsyncDisposable {
  #loading: Promise<LayerUnpacker & AsyncDisposable> | undefined;

  async unpack(request: UnpackRequest): Promise<Unpacked> {
    return (await this.#load()).unpack(request);
  }

  warm(sizes: readonly number[]): void {
    // A failure to load is told by the first layer.
    void this.#load().then(
      (unpacker) => unpacker.warm(sizes),
      () => undefined,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const unpacker = await this.#loading?.catch(() => undefined);
    await unpacker?.[Symbol.asyncDispose]();
  }

  #load(): Promise<LayerUnpacker & AsyncDisposable> {
    this.#loading ??= import('../../archive/pipeline/unpacker.ts').then(({ Unpacker }) => new Unpacker());
    return this.#loading;
  }
}
