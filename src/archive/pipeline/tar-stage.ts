/** What is done with the bytes of a tar as such: they are hashed, and kept where the driver keeps tars. */
import { type Algorithm, asDiffID, type DiffID } from '../../oci/digest.ts';
import { type Hash, openHash } from '../../sys/hash.ts';
import type { TarPlace } from '../sink.ts';
import { TarFile } from '../tar-file.ts';

/** What it needs to know, as data. */
export interface TarTarget {
  readonly algorithm: Algorithm;
  readonly place: TarPlace | undefined;
}

export class TarStage {
  readonly #algorithm: Algorithm;
  readonly #hash: Hash;
  readonly #file: TarFile | undefined;

  constructor({ algorithm, place }: TarTarget) {
    this.#algorithm = algorithm;
    this.#hash = openHash(algorithm);
    this.#file = place && new TarFile(place);
  }

  write(tar: Uint8Array): void {
    this.#hash.update(tar);
    this.#file?.write(tar);
  }

  /** Once, at the end. */
  diffId(): DiffID {
    return asDiffID(`${this.#algorithm}:${this.#hash.digest().toString('hex')}`);
  }

  close(): void {
    this.#file?.close();
  }
}
