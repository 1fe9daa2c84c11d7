/** Unpacks an image that was only stored (`pull --no-unpack`, `load`), from its blobs. */
import type { ImageRow } from '../metadata/images.ts';
import type { ChainID } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { changeNames } from './layout-index.ts';
import { openLease } from './lease.ts';
import { putChains } from './name-image.ts';
import { obtainLayers } from './pull/layers.ts';
import { planUnpack, requireUnpackable } from './pull/plan.ts';
import { readImage } from './read-image.ts';

/** The chainID of an image's stack, unpacked now if it was not; undefined for an image without layers. */
export async function ensureUnpacked(
  context: StoreContext,
  row: ImageRow,
  options: OperationOptions = {},
): Promise<ChainID | undefined> {
  if (row.unpacked || (row.chainId === null && row.platform !== '')) return row.chainId ?? undefined;
  const image = await readImage(context, row.manifest);
  requireUnpackable(image);
  const jobs = planUnpack(image, (await context.driver()).stacking);
  await using lease = await openLease(context, `unpack ${row.name}`, { resumable: true });
  lease.hold({
    blobs: jobs.map((job) => job.descriptor.digest),
    layers: jobs.flatMap((job) => job.target?.key ?? []),
    chains: jobs.flatMap((job) => job.target?.chainId ?? []),
  });
  await obtainLayers(jobs, { ...options, context, source: undefined });
  changeNames(context, () => {
    putChains(context, image.config?.diffIDs ?? []);
    context.metadata.images.setUnpacked(row.manifest, true);
    lease.end();
  });
  return row.chainId ?? undefined;
}
