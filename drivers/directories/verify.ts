/** Layers that are kept as files: whether those are as the layer's index says. */
import { readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { isSameSize, openQuietly } from '../../src/sys/at.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';
import type { LayerFile } from '../driver.ts';
import { openParent } from '../tree/open-parent.ts';
import { inSlices } from '../tree/slices.ts';
import { openDirectory } from './root.ts';

const CHUNK = 256 * 1024;

/** What is wrong with one of the files, in one line; undefined when they are all as they were. */
export async function verifyFiles(root: string, files: Iterable<LayerFile>): Promise<string | undefined> {
  const rootFd = openDirectory(root);
  try {
    return await inSlices(firstDamage(rootFd, files));
  } finally {
    closeFd(rootFd);
  }
}

function* firstDamage(rootFd: number, files: Iterable<LayerFile>): Generator<undefined, string | undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  for (const file of files) {
    const problem = yield* damageOf(rootFd, file, buffer);
    if (problem !== undefined) return `${JSON.stringify(`/${Buffer.from(file.path).toString()}`)} ${problem}`;
  }
  return undefined;
}

function* damageOf(rootFd: number, file: LayerFile, buffer: Buffer): Generator<undefined, string | undefined> {
  let fd: number;
  try {
    using parent = openParent(rootFd, Buffer.from(file.path));
    fd = openQuietly(parent.fd, parent.name);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return 'is no file any more';
    throw error;
  }
  try {
    if (!isSameSize(fd, file.size)) return 'has another size';
    let sum = 0;
    for (let read = readSync(fd, buffer, 0, CHUNK, null); read > 0; read = readSync(fd, buffer, 0, CHUNK, null)) {
      sum = crc32(buffer.subarray(0, read), sum);
      yield;
    }
    return sum === file.crc32 ? undefined : 'has other bytes';
  } finally {
    closeFd(fd);
  }
}
