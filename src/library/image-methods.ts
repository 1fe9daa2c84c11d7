/** Images of the store: fetched, listed, looked into, named and removed. */
import type { FileChange } from '../images/compare-trees.ts';
import type { DiffImagesOptions, LayerRange } from '../images/diff-images.ts';
import type { HistoryItem, ImageDetails } from '../images/inspect.ts';
import type { LayersReport } from '../images/layers-report.ts';
import type { ImageSummary } from '../images/list.ts';
import type { ListedFile, ListFilesOptions } from '../images/list-files.ts';
import type { PullResult } from '../images/pull/pull.ts';
import type { Removal, RemoveOptions } from '../images/remove.ts';
import type { OperationOptions } from '../progress.ts';
import type { PullOptions } from '../tslayer-options.ts';
import { findRow, type Parts, platformOf } from './parts.ts';

export class ImageMethods {
  protected readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /**
   * Fetches an image, verifies and unpacks it: a registry reference, or `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`,
   * `docker-archive:FILE[:ref]`.
   */
  async pull(text: string, options: PullOptions = {}): Promise<PullResult> {
    const [{ parseLocation }, { expandShortName }] = await Promise.all([
      import('../transports/location.ts'),
      import('../../registry-client/hosts/short-names.ts'),
    ]);
    const location = parseLocation(await expandShortName(text));
    const { platform, ...rest } = options;
    const wanted = platformOf(platform);
    const store = await this.parts.store();
    if (location.transport !== 'registry') {
      const { pullArchive } = await import('../images/load.ts');
      return pullArchive(store, location, { ...rest, platform: wanted });
    }
    const [{ pullImage }, { registrySource }, { imageName }, client] = await Promise.all([
      import('../images/pull/pull.ts'),
      import('../images/pull/source.ts'),
      import('../images/name-image.ts'),
      this.parts.client(),
    ]);
    const { reference } = location;
    const { allPlatforms, unpack } = rest;
    const request = {
      names: [imageName(reference)] as [string],
      source: registrySource(client, reference),
      digest: reference.digest,
      platform: wanted,
      allPlatforms,
      unpack,
    };
    return pullImage(store, request, rest);
  }

  /** Every name in the store, in order. */
  async images(): Promise<ImageSummary[]> {
    const { listImages } = await import('../images/list.ts');
    return listImages(await this.parts.store());
  }

  /** All that is known of one image. */
  async inspect(image: string): Promise<ImageDetails> {
    const { inspectImage } = await import('../images/inspect.ts');
    return inspectImage(await this.parts.store(), image);
  }

  /** The steps that made an image, the newest first. */
  async history(image: string): Promise<HistoryItem[]> {
    const { imageHistory } = await import('../images/inspect.ts');
    return imageHistory(await this.parts.store(), image);
  }

  /** One more name for an image; the new name. */
  async tag(source: string, target: string): Promise<string> {
    const { tagImage } = await import('../images/tag.ts');
    return tagImage(await this.parts.store(), source, target);
  }

  /** Removes names, and what they alone held: all of them, or none when one is not there or in use. */
  async rmi(images: readonly string[], options: RemoveOptions = {}): Promise<Removal> {
    const { removeImages } = await import('../images/remove.ts');
    return removeImages(await this.parts.store(), images, options);
  }

  /** What `rmi` of these images would remove. */
  async previewRmi(images: readonly string[], options: RemoveOptions = {}): Promise<Removal> {
    const { previewRemoval } = await import('../images/remove.ts');
    return previewRemoval(await this.parts.store(), images, options);
  }

  /** Each layer's own files, what it hides, and what is wasted. */
  async layers(image: string, options: OperationOptions = {}): Promise<LayersReport> {
    const { reportImageLayers } = await import('../images/layers-report.ts');
    const { store, row } = await findRow(this.parts, image);
    return reportImageLayers(store, row, options);
  }

  /** Files of an image that is not mounted. */
  async ls(image: string, path: string, options: ListFilesOptions = {}): Promise<ListedFile[]> {
    const { listFiles } = await import('../images/list-files.ts');
    const { store, row } = await findRow(this.parts, image);
    return listFiles(store, row, path, options);
  }

  /** A file's bytes out of an image that is not mounted. */
  async *cat(image: string, path: string, options: OperationOptions = {}): AsyncGenerator<Uint8Array, void> {
    const { catFile } = await import('../images/cat-file.ts');
    const { store, row } = await findRow(this.parts, image);
    yield* catFile(store, row, path, options);
  }

  /** Two images compared file by file, without mounting either. */
  async diffImages(before: string, after: string, options: DiffImagesOptions = {}): Promise<FileChange[]> {
    const { diffImages } = await import('../images/diff-images.ts');
    const { store, row: from } = await findRow(this.parts, before);
    const { row: to } = await findRow(this.parts, after);
    return diffImages(store, { image: from }, { image: to }, options);
  }

  /** What some of an image's layers change in those below them; numbers as `layers` tells them. */
  async diffLayers(image: string, range: LayerRange, options: DiffImagesOptions = {}): Promise<FileChange[]> {
    const { diffLayers } = await import('../images/diff-images.ts');
    const { store, row } = await findRow(this.parts, image);
    return diffLayers(store, row, range, options);
  }
}
