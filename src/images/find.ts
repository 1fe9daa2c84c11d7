/** Finds an image of the store by what people write: a reference, an image id, a unique beginning of one. */
import { isTslayerError, TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import { DEFAULT_REGISTRY, familiarReference, nameOf, parseReference, type Reference } from '../oci/reference.ts';
import type { StoreContext } from './context.ts';
import { imageName } from './name-image.ts';

/** `sha256:` may be left out; fewer than four digits are not looked up. */
const ID = /^(?:sha256:)?([0-9a-f]{4,64})$/;

/**
 * The image that `text` means.
 * @throws NOT_FOUND; INVALID_REFERENCE when it is no name, or the beginning of several images' ids
 */
export function findImage(context: StoreContext, text: string): ImageRow {
  const found = byName(context, text) ?? byId(context, text)[0];
  if (found) return found;
  throw notFound(context, text);
}

/** All names of the image whose id `text` is; empty when it is none. */
export function byId({ metadata }: StoreContext, text: string): ImageRow[] {
  const hex = ID.exec(text)?.[1];
  if (hex === undefined) return [];
  const rows = metadata.images.byPrefix(`sha256:${hex}`);
  if (new Set(rows.map((row) => row.manifest)).size > 1) {
    const names = rows.slice(0, 4).map((row) => shortName(row.name));
    throw new TslayerError('INVALID_REFERENCE', `${text} is the beginning of several ids`, {
      hint: `more digits tell ${names.join(', ')} apart`,
    });
  }
  return rows;
}

/** A name as people write it, defaults left out. */
export function shortName(name: string): string {
  return familiarReference(parseReference(name));
}

/** The same of a row's name, which is canonical: only Docker Hub's has defaults to leave out. */
export function shortCanonicalName(name: string): string {
  return name.startsWith(`${DEFAULT_REGISTRY}/`) ? shortName(name) : name;
}

function byName({ metadata }: StoreContext, text: string): ImageRow | undefined {
  const reference = tryParse(text);
  if (reference === undefined) return undefined;
  const named = metadata.images.get(imageName(reference));
  if (named || reference.digest === undefined) return named;
  // Pulled by tag, asked for by digest: the same image if it is from the same repository.
  const prefix = nameOf(reference);
  return metadata.images
    .byDigest(reference.digest)
    .find((row) => row.name.startsWith(`${prefix}:`) || row.name.startsWith(`${prefix}@`));
}

function tryParse(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    // What is no reference may still be an id.
    if (isTslayerError(error, 'INVALID_REFERENCE') && ID.test(text)) return undefined;
    throw error;
  }
}

function notFound({ metadata }: StoreContext, text: string): TslayerError {
  const reference = tryParse(text);
  const last = reference?.repository.split('/').at(-1);
  const alike = last === undefined ? [] : metadata.images.list().filter(({ name }) => lastComponent(name) === last);
  const hint =
    alike.length > 0
      ? `the store has ${alike
          .slice(0, 3)
          .map((row) => shortName(row.name))
          .join(', ')}`
      : `pull ${text} first`;
  return new TslayerError('NOT_FOUND', `no image ${text} in the store`, { hint });
}

function lastComponent(name: string): string | undefined {
  return name
    .replace(/[:@][^/]*$/, '')
    .split('/')
    .at(-1);
}
