/**
 * Images made by a program: layers of files and directories on a base or on nothing, and a config. The same input
 * gives the same image when `epoch` (or SOURCE_DATE_EPOCH) is set.
 */

import type { TarEntry } from '../archive/entry.ts';
import { packLayer } from '../archive/pack.ts';
import { PLAIN_DIRECTORY } from '../archive/plain-directory.ts';
import type { TarItem } from '../archive/tar-writer.ts';
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import { hostPlatform, type Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import {
  asBase,
  type Base,
  historyEntry,
  type NewImageOptions,
  nonEmpty,
  packOptions,
  publishLayers,
} from './commit.ts';
import type { StoreContext } from './context.ts';
import { type ImageLayer, readImage } from './image-layers.ts';
import { type LayerSource, layerItems } from './layer-source.ts';
import { byteString, bytesOf } from './layer-tree.ts';
import { LayerTrees } from './layer-trees.ts';
import { openLease } from './lease.ts';
import { findNode, type MergedNode, resolveNode } from './merged-tree.ts';
import { addLayerBlob, type NewLayer } from './new-blob.ts';
import { creationDate, emptyConfig, nextConfig, sourceDateEpoch } from './next-config.ts';
import type { PullResult } from './pull/pull.ts';

export interface BuildOptions extends NewImageOptions {
  /** The image to build on. Default: nothing. */
  readonly from?: ImageRow | undefined;
  /** What the image says it runs on. Default: the base's, or this machine's. */
  readonly platform?: Platform | undefined;
  /** From the base up, one layer each. */
  readonly layers: readonly LayerSource[];
}

export async function buildImage(
  context: StoreContext,
  reference: Reference,
  options: BuildOptions,
): Promise<PullResult> {
  const { from, platform, layers: sources, ...rest } = options;
  const epoch = options.epoch ?? sourceDateEpoch();
  const created = creationDate(epoch);
  const base = withPlatform(
    from ? asBase(await readImage(context, from)) : scratch(platform),
    from ? platform : undefined,
  );
  nextConfig(base.rawConfig, { diffIDs: [], history: [], changes: options.changes, created });
  await using lease = await openLease(context, 'build');
  lease.hold({ blobs: base.layers.map((layer) => layer.descriptor.digest) });
  const layers: NewLayer[] = [];
  for (const source of sources) {
    const items = await nonEmpty(withDirectories(context, base.layers, layerItems(source)));
    if (!items) throw new TslayerError('INVALID_ARGUMENT', 'a layer to build has no files');
    layers.push(
      await addLayerBlob(context, lease, (file) =>
        packLayer(items, packOptions(rest, epoch), (chunk) => file.writeFile(chunk)),
      ),
    );
  }
  const steps = layers.map((_, i) => historyEntry('tslayer build', i < layers.length - 1 ? {} : rest, created, false));
  const history = steps.length > 0 ? steps : [historyEntry('tslayer build', rest, created, true)];
  return await publishLayers(context, base, layers, history, created, { reference, source: 'build', options: rest });
}

function scratch(platform: Platform = hostPlatform()): Base {
  return { layers: [], rawConfig: emptyConfig(platform), history: [] };
}

function withPlatform(base: Base, platform: Platform | undefined): Base {
  if (!platform) return base;
  const { architecture, os, variant } = platform;
  return { ...base, rawConfig: { ...base.rawConfig, architecture, os, ...(variant ? { variant } : {}) } };
}

/**
 * Items where the base has a place for them: a path through a link of the base (/bin of a merged /usr) goes where
 * the link leads, since a directory in its place would replace it. Parents that the layer does not name itself are
 * as the base has them, else root's with mode 755.
 */
async function* withDirectories(
  context: StoreContext,
  base: readonly ImageLayer[],
  items: AsyncIterable<TarItem>,
): AsyncGenerator<TarItem, void> {
  const root = await new LayerTrees(context).merged({ layers: base });
  const told = new Set<string>(['']);
  for await (const item of items) {
    if (!('entry' in item)) continue;
    const path = placeOf(root, byteString(item.entry.path));
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      if (told.has(parent)) continue;
      told.add(parent);
      const known = findNode(root, parent)?.info?.entry;
      const directory = known?.type === 'directory' ? known : PLAIN_DIRECTORY;
      yield { kind: 'added', entry: { ...directory, path: bytesOf(parent) } };
    }
    if (item.entry.type === 'directory') told.add(path);
    yield { ...item, entry: placed(root, item.entry, path) };
  }
}

function placed(root: MergedNode, entry: TarEntry, path: string): TarEntry {
  const moved = { ...entry, path: bytesOf(path) };
  return entry.type === 'hardlink' ? { ...moved, linkname: bytesOf(placeOf(root, byteString(entry.linkname))) } : moved;
}

/** The path with the links of the base in its directories followed, as far as the base has them. */
function placeOf(root: MergedNode, path: string): string {
  const parts = path.split('/');
  for (let length = parts.length - 1; length > 0; length--) {
    const found = resolveNode(root, parts.slice(0, length).join('/'));
    if (found?.node.children) return [...(found.path === '' ? [] : [found.path]), ...parts.slice(length)].join('/');
  }
  return path;
}
