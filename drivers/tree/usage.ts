/** What a tree occupies: as `du` counts it. */
import { closeSync, openSync } from 'node:fs';
import { O_DIRECTORY, O_RDONLY } from '../../src/sys/at.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { isDirectory, walkTree } from '../../src/sys/walk.ts';
import type { Usage } from '../driver.ts';

/** Blocks of all entries below and including the directory, each hard-linked file once. Nothing there is zero. */
export function* treeUsage(directory: string): Generator<void, Usage> {
  let fd: number;
  try {
    fd = openSync(directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return { bytes: 0, inodes: 0 };
    throw error;
  }
  const linked = new Set<bigint>();
  let [blocks, inodes] = [0, 0];
  try {
    for (const { event, stat } of walkTree(fd)) {
      if (event === 'leave') continue;
      if (!isDirectory(stat) && stat.nlink > 1) {
        if (linked.has(stat.ino)) continue;
        linked.add(stat.ino);
      }
      blocks += stat.blocks;
      inodes += 1;
      yield;
    }
  } finally {
    closeSync(fd);
  }
  return { bytes: blocks * 512, inodes };
}
