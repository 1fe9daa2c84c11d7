/**
 * Writes a merged image: metadata alone, which points into the images of the layers.
 *
 *     0      note │ 1024 superblock │ zeros       the head, written last
 *     4096   the device table, a slot a layer, top first
 *     …      inodes, directories, chunk indexes   to the end, aligned to 4096
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { writeAll } from '../../../src/sys/write-all.ts';
import { NOTHING_COPIED } from '../copied-data.ts';
import { encodeDevices } from '../format/devices.ts';
import { alignUp, BLOCK_SIZE, HEAD_SIZE } from '../format/layout.ts';
import { writeNote } from '../format/note.ts';
import { encodeHead } from '../format/superblock.ts';
import { openImages } from '../read/open-images.ts';
import { emitMetadata } from '../write/emit.ts';
import { imageUuid } from '../write/image.ts';
import { type ImagePlan, planImage } from '../write/plan.ts';
import { type MergedTree, mergeImages } from './merge.ts';

/** @param path an empty file @param layers the images of the layers that show, top first */
export function writeMerged(path: string, name: string, layers: readonly string[]): void {
  using images = openImages(layers);
  const tree = mergeImages(images.readers);
  const lead = encodeDevices(
    layers.map((layer) => ({ tag: basename(layer), blocks: Math.ceil(statSync(layer).size / BLOCK_SIZE) })),
  );
  const { order, maps } = tree;
  const plan = planImage(tree, order, maps, { metaStart: HEAD_SIZE, reserved: lead.length });
  const fd = openSync(path, 'r+');
  try {
    const metadataDigest = emitMetadata(fd, { tree, order, maps, plan, lead });
    const head = headOf(tree, plan, { name, devices: layers.length });
    writeNote(head, {
      tarLength: 0,
      metadataDigest,
      copiedDigest: NOTHING_COPIED,
      opaqueRoot: true,
      implicitRoot: false,
      implicitDirectories: false,
    });
    writeAll(fd, head, 0);
  } finally {
    closeSync(fd);
  }
}

function headOf(
  { inodes, directories }: MergedTree,
  plan: ImagePlan,
  { name, devices }: { readonly name: string; readonly devices: number },
): Uint8Array {
  return encodeHead({
    rootNid: inodes.nid[directories.inode[0]!]!,
    inodes: inodes.count,
    blocks: alignUp(plan.end, 4096) / BLOCK_SIZE,
    metaBlock: plan.metaStart / BLOCK_SIZE,
    uuid: imageUuid(name),
    chunked: true,
    devices: { count: devices, offset: HEAD_SIZE },
  });
}
