/**
 * Whether layers can be mounted with `directio`, where that is asked for. Without it every byte read is cached twice, in
 * the image's file and in the mounted file. It needs a kernel that knows the option (6.13, and 6.12's later releases) and
 * a store whose file system reads 512-byte pieces directly: on a disk with 4096-byte sectors such reads would fail.
 */
import { closeSync, openSync } from 'node:fs';
import { directIoAlignment } from '../../src/sys/direct-io.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { FsContext } from '../../src/sys/mount-api.ts';
import { BLOCK_SIZE } from './format/layout.ts';

/** @param file some file on the store's file system */
export function canReadDirectly(file: string): boolean {
  return kernelKnowsDirectIo() && readsBlocksDirectly(file);
}

function kernelKnowsDirectIo(): boolean {
  try {
    using context = new FsContext('erofs');
    context.flag('directio');
    return true;
  } catch (error) {
    if (hasErrno(error, 'EINVAL', 'ENODEV', 'EPERM', 'ENOSYS')) return false;
    throw error;
  }
}

function readsBlocksDirectly(file: string): boolean {
  const fd = openSync(file, 'r');
  try {
    return (directIoAlignment(fd) ?? Number.POSITIVE_INFINITY) <= BLOCK_SIZE;
  } finally {
    closeSync(fd);
  }
}
