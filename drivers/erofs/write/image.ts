/** Finishes an image: the raw tar lies behind the head, the tree is whole; metadata follows, the superblock is last. */
import { readSync } from 'node:fs';
import { TslayerError } from '../../../src/errors.ts';
import { hashOf } from '../../../src/sys/hash.ts';
import { writeAll } from '../../../src/sys/write-all.ts';
import { digestCopied, NOTHING_COPIED } from '../copied-data.ts';
import { alignUp, BLOCK_SIZE, HEAD_SIZE } from '../format/layout.ts';
import { writeNote } from '../format/note.ts';
import { encodeHead } from '../format/superblock.ts';
import type { LayerTree } from '../tree/layer-tree.ts';
import { settle } from '../tree/settle.ts';
import { SparseMaps } from './chunk-maps.ts';
import { ChunkPlanner, type Copy } from './chunk-plan.ts';
import { emitMetadata } from './emit.ts';
import { planImage, RESERVED } from './plan.ts';

/** Writes all that follows the tar, then the head. `tarEnd` is where the tar ends in the file. */
export function finishImage(fd: number, tree: LayerTree, tarEnd: number, name: string): void {
  checkData(tree, tarEnd);
  const settled = settle(tree);
  const planner = new ChunkPlanner(alignUp(tarEnd, BLOCK_SIZE));
  const order = settled.directories;
  const plans = tree.sparse.files.map((file) => planner.plan(file));
  const maps = new SparseMaps(tree, plans);
  const plan = planImage(tree, order, maps, { metaStart: alignUp(planner.end, 4096), reserved: RESERVED });
  for (const copy of planner.copies) move(fd, copy);
  const copiedDigest =
    planner.copies.length === 0 ? NOTHING_COPIED : runToEnd(digestCopied(fd, tarEnd, plan.metaStart));
  const metadataDigest = emitMetadata(fd, { tree, order, maps, plan });
  const head = encodeHead({
    rootNid: tree.inodes.nid[tree.directories.inode[0]!]!,
    inodes: settled.inodes,
    blocks: alignUp(plan.end, 4096) / BLOCK_SIZE,
    metaBlock: plan.metaStart / BLOCK_SIZE,
    uuid: imageUuid(name),
    chunked: plans.length > 0,
  });
  writeNote(head, {
    tarLength: tarEnd - HEAD_SIZE,
    metadataDigest,
    copiedDigest,
    opaqueRoot: tree.opaqueRoot,
    implicitRoot: tree.implicitRoot,
    implicitDirectories: tree.hasImplicit,
  });
  writeAll(fd, head, 0);
}

function runToEnd<T>(work: Generator<unknown, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** A file whose data would lie behind the tar is a truncated one; the reader finds it first, the kernel never. */
function checkData(tree: LayerTree, tarEnd: number): void {
  if (tree.dataEnd > tarEnd - HEAD_SIZE) throw new TslayerError('MALFORMED', 'the layer ends inside a file');
}

function move(fd: number, { from, to, length }: Copy): void {
  const buffer = Buffer.allocUnsafe(Math.min(length, 1 << 20));
  for (let done = 0; done < length; ) {
    const got = readSync(fd, buffer, 0, Math.min(buffer.length, length - done), from + done);
    if (got === 0) throw new TslayerError('FAILED', 'the image being written became shorter');
    writeAll(fd, buffer.subarray(0, got), to + done);
    done += got;
  }
}

/** Different for each image, so that overlayfs can tell its lower file systems apart; the same in each try. */
export function imageUuid(name: string): Uint8Array {
  const uuid = Buffer.from(hashOf('sha256', Buffer.from(`tslayer erofs ${name}`)), 'hex').subarray(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x80; // version 8: of one's own making (RFC 9562)
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}
