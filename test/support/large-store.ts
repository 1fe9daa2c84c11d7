/**
 * Fills a store with rows of images that nobody ever pulled: as many as a build farm has. Ten images share a base,
 * the other layers are their own.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { changeNames } from '../../src/images/layout-index.ts';
import { putImage } from '../../src/images/name-image.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { asDiffID, type Digest, digestOf } from '../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../src/oci/media-types.ts';

export interface LargeStoreOptions {
  readonly images: number;
  readonly layersEach: number;
  /** Also make the files, empty ones: for what looks at the disk. Default false. */
  readonly files?: boolean;
}

export function fillStore(store: OpenStore, { images, layersEach, files = false }: LargeStoreOptions): void {
  const { metadata } = store;
  metadata.settings.setOnce('driver', 'erofs');
  metadata.settings.setOnce('stacking', 'independent');
  const addBlob = (name: string, kind: 'manifest' | 'config' | 'layer', mediaType: string, size: number): Digest => {
    const digest = digestOf(name);
    metadata.blobs.put({ digest, size, kind, mediaType, addedAt: 1 });
    if (files) touch(store.blobs.path(digest));
    return digest;
  };
  const ids = metadata.settings.reserveIds(images * layersEach);
  changeNames(store, () => {
    for (let i = 0; i < images; i++) {
      const names = Array.from({ length: layersEach }, (_, n) =>
        n === 0 ? `base ${i % (images / 10)}` : `layer ${i} ${n}`,
      );
      const layers = names.map((name) => addBlob(name, 'layer', OCI_LAYER_GZIP, 1_000_000));
      const diffIds = names.map((name) => asDiffID(digestOf(`tar ${name}`)));
      for (const diffId of diffIds.filter((key) => metadata.layers.get(key) === undefined)) {
        const id = ids.shift() as string;
        const amounts = { tarSize: 3_000_000, bytes: 3_006_464, inodes: 1 };
        metadata.layers.put({ key: diffId, id, diffId, ...amounts, indexed: false, addedAt: 1 });
        if (files) touch(join(store.paths.layers, `${id}.erofs`));
      }
      for (const [n, digest] of layers.entries()) {
        metadata.blobs.putDiff({ digest, diffId: diffIds[n]!, tarSize: 3_000_000 });
      }
      const config = addBlob(`config ${i}`, 'config', OCI_CONFIG, 3000);
      const manifest = addBlob(`manifest ${i}`, 'manifest', OCI_MANIFEST, 1000);
      const children = [{ digest: config, size: 3000 }, ...layers.map((digest) => ({ digest, size: 1_000_000 }))];
      metadata.blobs.putRefs(manifest, children);
      const shared = {
        target: manifest,
        manifest,
        config,
        platform: 'linux/amd64',
        unpacked: true,
        allPlatforms: true,
      };
      const name = `127.0.0.1:5000/farm/image-${i}:1`;
      putImage(store, { ...shared, names: [name], diffIds, source: 'test', createdAt: 1 });
    }
  });
}

function touch(path: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, '');
}
