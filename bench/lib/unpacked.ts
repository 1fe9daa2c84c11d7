/** An image of the layout unpacked by a driver, without registry and store: for what is measured after a pull. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DriverModule, StorageDriver } from '../../drivers/driver.ts';
import { Unpacker } from '../../src/archive/pipeline/unpacker.ts';

interface Manifest {
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

function readBlob<T>(layout: string, digest: string): T {
  return JSON.parse(readFileSync(blobPath(layout, digest), 'utf8')) as T;
}

export function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}

/** Digests of an image's layers, base first. */
export function layersOf(layout: string, image: string): string[] {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  const name = 'org.opencontainers.image.ref.name';
  const found = index.manifests.find(({ annotations }) => annotations?.[name] === image);
  if (found === undefined) throw new Error(`no image ${image} in ${layout}: run bench/images/build.ts`);
  return readBlob<Manifest>(layout, found.digest).layers.map(({ digest }) => digest);
}

export interface UnpackedImage {
  readonly driver: StorageDriver;
  /** Top first. */
  readonly stack: readonly string[];
}

export async function unpackImage(
  module: DriverModule,
  directory: string,
  layout: string,
  image: string,
): Promise<UnpackedImage> {
  const driver = await module.open(directory);
  await using unpacker = new Unpacker();
  const stack: string[] = [];
  for (const digest of layersOf(layout, image)) {
    const path = blobPath(layout, digest);
    const id = `l${stack.length}`;
    const application = await driver.apply(id, stack, { durable: false });
    const source = createReadStream(path, { highWaterMark: 1 << 18 });
    const { result } = await unpacker.unpack({ source, size: statSync(path).size, sink: application.sink });
    await application.commit(result);
    stack.unshift(id);
  }
  return { driver, stack };
}
