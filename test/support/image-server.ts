/** A registry of images made on the spot, and a count of what was asked of it. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ImageSpec, type PackedLayer, packLayer, writeLayout } from '../../scripts/demo/layout.ts';
import { baseSystem } from '../../scripts/demo/programs.ts';
import { type Access, serveRegistry } from '../../src/serve/index.ts';

export interface ImageServer extends AsyncDisposable {
  /** `127.0.0.1:40001` */
  readonly host: string;
  /** A directory that goes with the server; `layout` in it is what is served. */
  readonly directory: string;
  readonly layout: string;
  readonly requests: Access[];
}

/** Serves these images; their blobs may be altered in `layout` afterwards. */
export async function serveImages(images: readonly ImageSpec[]): Promise<ImageServer> {
  const directory = await mkdtemp(join(tmpdir(), 'tslayer-images-'));
  const layout = join(directory, 'layout');
  await writeLayout(layout, images);
  const requests: Access[] = [];
  const registry = await serveRegistry({ layoutDir: layout, onRequest: (access) => requests.push(access) });
  return {
    host: registry.host,
    directory,
    layout,
    requests,
    async [Symbol.asyncDispose]() {
      await registry.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

let base: Promise<PackedLayer> | undefined;

/** A layer that programs can run in: busybox, or a shell with its libraries. */
export function baseLayer(): Promise<PackedLayer> {
  base ??= packLayer(baseSystem().entries, 'base');
  return base;
}
