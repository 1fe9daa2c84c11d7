/** `tag`: one more name for an image. */
import { TslayerError } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import type { StoreContext } from './context.ts';
import { findImage, shortName } from './find.ts';
import { changeNames, publishNames } from './layout-index.ts';
import { imageName } from './name-image.ts';

/** Makes `target` a name of the image `source`; a name that stood for something else moves. The short new name. */
export async function tagImage(context: StoreContext, source: string, target: string): Promise<string> {
  const reference = parseReference(target);
  if (reference.digest !== undefined) {
    throw new TslayerError('INVALID_REFERENCE', `${target} names a digest: a tag is a name that can move`);
  }
  if (reference.repository === 'library/sha256') {
    throw new TslayerError('INVALID_REFERENCE', `${target} would be read as a digest, not as a name`);
  }
  const name = imageName(reference);
  changeNames(context, () => {
    const row = findImage(context, source);
    context.metadata.images.put({ ...row, name, usedAt: Date.now() });
  });
  await publishNames(context);
  return shortName(name);
}
