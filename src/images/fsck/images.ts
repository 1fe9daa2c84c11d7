/** Images: what a name stands for is complete. */

import { isTslayerError } from '../../errors.ts';
import type { ImageRow } from '../../metadata/images.ts';
import type { StoreContext } from '../context.ts';
import { usersOf } from '../df.ts';
import { shortName } from '../find.ts';
import { changeNames } from '../layout-index.ts';
import { pullImage } from '../pull/pull.ts';
import { readImage } from '../read-image.ts';
import type { CheckOptions, Finding } from './finding.ts';

export async function* checkImages(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  for (const row of context.metadata.images.list()) {
    const missing = missingLayer(context, row);
    if (missing !== undefined) {
      const message = `its layer ${missing} is neither stored nor unpacked`;
      yield { kind: 'image', subject: row.name, message, repair: () => restoreImage(context, row, options) };
    }
    if (row.unpacked && row.chainId !== null && !context.metadata.snapshots.hasChain(row.chainId)) {
      yield {
        kind: 'image',
        subject: row.name,
        message: 'it is called unpacked, its stack is not there',
        repair: async () => {
          context.metadata.transaction(() => context.metadata.images.setUnpacked(row.manifest, false));
          return 'called not unpacked; using it unpacks it';
        },
      };
    }
    const message = options.deep ? await unreadable(context, row) : undefined;
    if (message !== undefined) yield { kind: 'image', subject: row.name, message };
  }
}

function missingLayer({ metadata }: StoreContext, row: ImageRow): string | undefined {
  const refs = metadata.blobs.refs(row.manifest).slice(1);
  return refs.find(({ child }) => {
    if (metadata.blobs.has(child)) return false;
    const diff = metadata.blobs.diffOf(child);
    return diff === undefined || !metadata.layers.hasDiff(diff.diffId);
  })?.child;
}

async function unreadable(context: StoreContext, row: ImageRow): Promise<string | undefined> {
  try {
    await readImage(context, row.manifest);
    return undefined;
  } catch (error) {
    // Damage is told by the check of the blobs already.
    return isTslayerError(error, 'MALFORMED') ? error.message : undefined;
  }
}

/** Pulls again what is missing; an image that nobody offers any more is forgotten. */
async function restoreImage(context: StoreContext, row: ImageRow, options: CheckOptions): Promise<string> {
  const source = await options.sourceOf(row.name);
  const { name } = row;
  if (source !== undefined) {
    const request = { names: [name] as const, source, digest: row.target, unpack: row.unpacked };
    // Its rows say that it is there: without the name the pull looks at each part.
    context.metadata.transaction(() => context.metadata.images.setUnpacked(row.manifest, false));
    const result = await pullImage(context, { ...request, unpack: true }, options);
    return `pulled again, ${result.fetchedBytes} bytes`;
  }
  const [user] = usersOf(context, row.manifest);
  if (user !== undefined) return `left, since ${user} is made of it`;
  changeNames(context, () => context.metadata.images.delete(name));
  return `forgot ${shortName(name)}: it cannot be fetched again`;
}
