/** An inflater that finds out itself what it is given. */
import { detectCompression, MAGIC_BYTES } from './compression.ts';
import { type Engine, type Inflater, type Outlet, openInflater } from './inflater.ts';

export class DetectingInflater implements Inflater {
  readonly #outlet: Outlet;
  readonly #engine: Engine | undefined;
  #head: Uint8Array = new Uint8Array(0);
  #inflater: Inflater | undefined;

  constructor(outlet: Outlet, engine?: Engine) {
    this.#outlet = outlet;
    this.#engine = engine;
  }

  write(input: Uint8Array): Promise<void> | undefined {
    if (this.#inflater !== undefined) return this.#inflater.write(input);
    const start = this.#head.length === 0 ? input : Buffer.concat([this.#head, input]);
    if (start.length >= MAGIC_BYTES) return this.#open(start).write(start);
    this.#head = Uint8Array.from(start);
    return undefined;
  }

  end(): Promise<void> | undefined {
    if (this.#inflater !== undefined) return this.#inflater.end();
    const inflater = this.#open(this.#head);
    const written = inflater.write(this.#head);
    return written === undefined ? inflater.end() : written.then(() => inflater.end());
  }

  close(): void {
    this.#inflater?.close();
  }

  #open(start: Uint8Array): Inflater {
    this.#inflater = openInflater(detectCompression(start), this.#outlet, this.#engine);
    return this.#inflater;
  }
}
