/** To and from others: registries and archives. */
import type { LoggedIn, LoggedOut } from '../../registry-client/auth/login.ts';
import { asTslayerError } from '../errors.ts';
import type { PullResult } from '../images/pull/pull.ts';
import type { PullSource } from '../images/pull/source.ts';
import type { PushResult } from '../images/push.ts';
import type { ArchiveFormat } from '../images/save.ts';
import type { OpenStore } from '../images/store.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { OperationOptions } from '../progress.ts';
import type { ArchiveLoadOptions, LoginOptions, PushOptions, ReferenceInfo, SaveOptions } from '../tslayer-options.ts';
import { ChangeMethods } from './change-methods.ts';
import { findRow, findRows, parseName, platformOf } from './parts.ts';

export class ExchangeMethods extends ChangeMethods {
  /** Sends an image to a registry, digests as they are. */
  async push(image: string, options: PushOptions = {}): Promise<PushResult> {
    const { pushImage } = await import('../images/push.ts');
    const { destination, platform, ...rest } = options;
    const { store, row } = await findRow(this.parts, image);
    return pushImage(store, await this.parts.client(), row, {
      ...rest,
      sourceOf: (name) => this.#sourceOf(name),
      destination: destination === undefined ? undefined : await parseName(destination),
      platform: platformOf(platform),
    });
  }

  /** Writes images as one archive or layout, shared layers once. */
  async save(images: readonly string[], options: SaveOptions): Promise<void> {
    const { saveDirectory, saveFile } = await import('../images/save.ts');
    const { output, format = 'oci-archive', platform, ...rest } = options;
    const { store, rows } = await findRows(this.parts, images);
    const wanted = { ...rest, platform: platformOf(platform) };
    await using _blobs = await this.#withBlobs(store, rows, rest);
    if (format === 'oci') await saveDirectory(store, rows, output, wanted);
    else await saveFile(store, rows, format, output, wanted);
  }

  /** The bytes of such an archive, for a stream. */
  async *saveStream(
    images: readonly string[],
    options: Omit<SaveOptions, 'output' | 'format'> & { readonly format?: ArchiveFormat } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const { saveArchive } = await import('../images/save.ts');
    const { format = 'oci-archive', platform, ...rest } = options;
    const { store, rows } = await findRows(this.parts, images);
    await using _blobs = await this.#withBlobs(store, rows, rest);
    yield* saveArchive(store, rows, format, { ...rest, platform: platformOf(platform) });
  }

  async #sourceOf(name: string): Promise<PullSource> {
    const { registrySource } = await import('../images/pull/source.ts');
    return registrySource(await this.parts.client(), await parseName(name));
  }

  /** The blobs that the store has dropped, for as long as they are needed. */
  async #withBlobs(
    store: OpenStore,
    rows: readonly ImageRow[],
    { signal, onProgress }: OperationOptions,
  ): Promise<AsyncDisposable> {
    const { bringBlobsBack } = await import('../images/dropped-blobs.ts');
    return await bringBlobsBack(store, rows, (name) => this.#sourceOf(name), { signal, onProgress });
  }

  /** All images of an archive file (`-`: standard input) or layout directory. */
  async load(path: string, options: ArchiveLoadOptions = {}): Promise<PullResult[]> {
    const { loadImages } = await import('../images/load.ts');
    const { platform, name, ...rest } = options;
    const named = name === undefined ? {} : { name: await parseName(name) };
    return loadImages(await this.parts.store(), path, { ...rest, ...named, platform: platformOf(platform) });
  }

  /** Checks a credential at the registry and stores it where podman and docker look for theirs. */
  async login(registry: string, options: LoginOptions): Promise<LoggedIn> {
    const { login } = await import('../../registry-client/auth/login.ts');
    return login(registry, { ...options, client: this.parts.clientOptions });
  }

  async logout(registry: string): Promise<LoggedOut> {
    const { logout } = await import('../../registry-client/auth/login.ts');
    return logout(registry);
  }

  /** Where a pull of a reference goes, in what order, and what stands there now. */
  async explain(text: string, options: OperationOptions = {}): Promise<ReferenceInfo> {
    const [{ formatReference, parseReference }, { expandShortName }] = await Promise.all([
      import('../oci/reference.ts'),
      import('../../registry-client/hosts/short-names.ts'),
    ]);
    const reference = parseReference(await expandShortName(text));
    const client = await this.parts.client();
    const endpoints = await client.explain(reference);
    const resolved = await client.resolve(reference, options).then(
      ({ descriptor, endpoint }) => ({ digest: descriptor.digest, endpoint }),
      (error: unknown) => ({ error: asTslayerError(error).message }),
    );
    const rateLimit = client.rateLimit(reference.registry) ?? null;
    return { reference: formatReference(reference), endpoints, resolved, rateLimit };
  }
}
