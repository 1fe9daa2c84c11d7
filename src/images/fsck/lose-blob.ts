/** Doing without a blob that is lost: its layer may be unpacked, else its images are lost with it. */
import { TslayerError } from '../../errors.ts';
import type { BlobRow } from '../../metadata/blobs.ts';
import type { ImageRow } from '../../metadata/images.ts';
import type { Digest } from '../../oci/digest.ts';
import type { StoreContext } from '../context.ts';
import { usersOf } from '../df.ts';
import { shortName } from '../find.ts';
import { changeNames } from '../layout-index.ts';

/** Images that lead to a blob. */
export function imagesWith({ metadata }: StoreContext, digest: Digest): ImageRow[] {
  const sql = `WITH RECURSIVE above (digest) AS (
      VALUES (?) UNION SELECT parent FROM refs JOIN above ON refs.child = above.digest)
    SELECT DISTINCT i.name FROM images i JOIN above a ON a.digest IN (i.target, i.manifest, i.config) ORDER BY i.name`;
  return metadata.database.all<{ name: string }>(sql, digest).flatMap(({ name }) => metadata.images.get(name) ?? []);
}

export async function loseBlob(context: StoreContext, row: BlobRow, cause: unknown): Promise<string> {
  const { metadata, blobs } = context;
  const diff = row.kind === 'layer' ? metadata.blobs.diffOf(row.digest) : undefined;
  const images = imagesWith(context, row.digest);
  const unpacked = diff !== undefined && metadata.layers.hasDiff(diff.diffId);
  if (!unpacked) requireUnused(context, images, cause);
  changeNames(context, () => {
    if (!unpacked) for (const { name } of images) metadata.images.delete(name);
    metadata.blobs.delete(row.digest);
  });
  await blobs.remove(row.digest);
  if (unpacked) return 'dropped; its layer is unpacked, a push or repair fetches it again';
  const names = images.map(({ name }) => shortName(name)).join(', ');
  return images.length === 0 ? 'dropped; no image has it' : `dropped with ${names}: it cannot be fetched again`;
}

/** Nothing is taken from under a mount or container. */
function requireUnused(context: StoreContext, images: readonly ImageRow[], cause: unknown): void {
  for (const image of images) {
    const [user] = usersOf(context, image.manifest);
    if (user === undefined) continue;
    throw new TslayerError('IN_USE', `${shortName(image.name)} cannot be restored and ${user} is made of it`, {
      cause,
    });
  }
}
