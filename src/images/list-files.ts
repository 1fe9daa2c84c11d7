/** `tslayer ls`: names and attributes out of an image that is not mounted. */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { describeFile, type FileDescription, readPath } from './file-description.ts';
import { readImage } from './image-layers.ts';
import { LayerTrees } from './layer-trees.ts';
import { byCharacters, resolveNode, walkTree } from './merged-tree.ts';

export interface ListFilesOptions extends OperationOptions {
  /** All that lies below, not only what lies in the directory. */
  readonly recursive?: boolean;
}

export interface ListedFile extends FileDescription {
  /** Number of the layer that it is from, from the base, 0. */
  readonly layer: number;
}

/** What is in a directory, or the one file. Links in the path are followed. NOT_FOUND. */
export async function listFiles(
  context: StoreContext,
  image: ImageRow,
  path: string,
  options: ListFilesOptions = {},
): Promise<ListedFile[]> {
  const stored = await readImage(context, image);
  const root = await new LayerTrees(context, options).merged(stored);
  const found = resolveNode(root, readPath(path));
  if (!found) throw new TslayerError('NOT_FOUND', `${image.name} has no ${path}`);
  const { node } = found;
  if (!node.children) return [{ ...describeFile(found.path, node.info), layer: node.layer }];
  if (options.recursive) {
    return [...walkTree(node, found.path)].map((below) => ({
      ...describeFile(below.path, below.node.info),
      layer: below.node.layer,
    }));
  }
  const prefix = found.path === '' ? '' : `${found.path}/`;
  return [...node.children]
    .sort(([a], [b]) => byCharacters(a, b))
    .map(([name, child]) => ({ ...describeFile(prefix + name, child.info), layer: child.layer }));
}
