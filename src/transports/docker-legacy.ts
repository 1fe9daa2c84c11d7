/**
 * Reads archives of docker before 1.10: `repositories` maps names and tags to image ids, and each ID/ holds a json
 * (with its parent's id) and a layer.tar. The config such an image lacks is made from the chain of jsons, as docker
 * itself made it when it migrated. Docker Image Specification v1.0.
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { MAX_CONFIG_BYTES } from '../oci/config.ts';
import { parseJson } from '../oci/descriptor.ts';
import { assembleArchive, type DockerImage } from './docker-archive.ts';
import { type FileTree, readSmall } from './file-tree.ts';
import { hashFile, sniffCompression } from './hash-file.ts';
import type { ImageArchive } from './source.ts';

export const REPOSITORIES_FILE = 'repositories';
/** overlayfs takes 500 layers; docker's own limit was 127. */
const MAX_CHAIN = 500;

const RepositoriesSchema = v.record(v.string(), v.record(v.string(), v.string()));
/** Other members (docker's container_config and ids) say nothing about the image itself. */
const V1Schema = v.object({
  parent: v.optional(v.nullish(v.string())),
  created: v.optional(v.nullish(v.string())),
  author: v.optional(v.nullish(v.string())),
  comment: v.optional(v.nullish(v.string())),
  architecture: v.optional(v.nullish(v.string())),
  os: v.optional(v.nullish(v.string())),
  config: v.optional(v.nullish(v.record(v.string(), v.unknown()))),
  container_config: v.optional(v.nullish(v.object({ Cmd: v.optional(v.nullish(v.array(v.string()))) }))),
});
type V1Image = v.InferOutput<typeof V1Schema>;

/** Takes over the tree: closing the archive closes it. */
export async function openLegacyArchive(tree: FileTree): Promise<ImageArchive> {
  const what = `repositories in ${tree.label}`;
  const bytes = await readSmall(tree, REPOSITORIES_FILE, MAX_CONFIG_BYTES);
  if (!bytes) throw new TslayerError('MALFORMED', `${tree.label} has no repositories`);
  const namesOf = new Map<string, string[]>();
  for (const [repository, tags] of Object.entries(parseJson(bytes, RepositoriesSchema, what))) {
    for (const [tag, id] of Object.entries(tags)) {
      namesOf.set(id, [...(namesOf.get(id) ?? []), `${repository}:${tag}`]);
    }
  }
  const images: DockerImage[] = [];
  for (const [id, names] of namesOf) images.push(await readImage(tree, id, names));
  return assembleArchive(tree, images);
}

async function readImage(tree: FileTree, id: string, names: readonly string[]): Promise<DockerImage> {
  const chain = await readChain(tree, id);
  const layers = chain.map((link) => `${link.id}/layer.tar`);
  const diffIDs: string[] = [];
  for (const layer of layers) {
    if ((await tree.size(layer)) === undefined) throw new TslayerError('MALFORMED', `${tree.label} has no ${layer}`);
    if ((await sniffCompression(tree, layer)) !== 'none') {
      throw new TslayerError('UNSUPPORTED', `${layer} in ${tree.label} is compressed, which its format does not know`);
    }
    diffIDs.push(await hashFile(tree, layer));
  }
  const config = makeConfig(
    chain.map((link) => link.image),
    diffIDs,
  );
  return { names, config: Buffer.from(JSON.stringify(config)), layers };
}

/** The image and its ancestors, base first. */
async function readChain(tree: FileTree, top: string): Promise<{ id: string; image: V1Image }[]> {
  const chain: { id: string; image: V1Image }[] = [];
  for (let id: string | undefined = top; id; ) {
    if (!/^[0-9a-f]{64}$/.test(id))
      throw new TslayerError('MALFORMED', `${tree.label} names an image with no valid id`);
    // A loop ends here as well.
    if (chain.length >= MAX_CHAIN) {
      throw new TslayerError('LIMIT_EXCEEDED', `${tree.label} has an image of more than ${MAX_CHAIN} layers`);
    }
    const bytes = await readSmall(tree, `${id}/json`, MAX_CONFIG_BYTES);
    if (!bytes) throw new TslayerError('MALFORMED', `${tree.label} has no ${id}/json`);
    const image: V1Image = parseJson(bytes, V1Schema, `${id}/json in ${tree.label}`);
    chain.unshift({ id, image });
    id = image.parent ?? undefined;
  }
  return chain;
}

function makeConfig(chain: readonly V1Image[], diffIDs: readonly string[]): object {
  const top = chain.at(-1) ?? {};
  return {
    architecture: top.architecture ?? 'amd64',
    os: top.os ?? 'linux',
    ...(top.created ? { created: top.created } : {}),
    ...(top.author ? { author: top.author } : {}),
    config: top.config ?? {},
    rootfs: { type: 'layers', diff_ids: diffIDs },
    history: chain.map((image) => ({
      ...(image.created ? { created: image.created } : {}),
      ...(image.container_config?.Cmd ? { created_by: image.container_config.Cmd.join(' ') } : {}),
      ...(image.author ? { author: image.author } : {}),
      ...(image.comment ? { comment: image.comment } : {}),
    })),
  };
}
