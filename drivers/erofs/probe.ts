/** Finds out by doing: writes an image of one file where the store is, mounts it unseen, reads the file back. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TarEntry } from '../../src/archive/entry.ts';
import { asTslayerError } from '../../src/errors.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { makeDirectories } from '../../src/sys/make-directories.ts';
import { FsContext } from '../../src/sys/mount-api.ts';
import type { Probe } from '../driver.ts';
import { whyNoUpper } from '../overlay/upper.ts';
import { canReadDirectly } from './direct-io.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { ErofsSink } from './sink.ts';

/** Of a kernel before 6.12, and of every one on a file system that keeps files in memory alone. */
const NO_FILES = 'the kernel mounts EROFS images from block devices only here (it takes Linux 6.12, and no tmpfs)';

const CONTENT = Buffer.from('mounted');

export async function probeErofs(directory: string): Promise<Probe> {
  let directio = false;
  try {
    makeDirectories(directory, 0o700);
    const temporary = mkdtempSync(join(directory, '.probe-'));
    try {
      const image = join(temporary, 'image');
      writeImage(image);
      directio = canReadDirectly(image);
      readBack(image, directio);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    return { available: false, reason: reasonOf(error), features: {} };
  }
  // Snapshots are upper directories of overlays, beside the images.
  const problem = whyNoUpper(directory);
  if (problem !== undefined) return { available: false, reason: problem, features: {} };
  return { available: true, reason: 'the kernel mounts EROFS from files', features: { directio } };
}

function writeImage(path: string): void {
  const tar = Buffer.alloc(1024);
  CONTENT.copy(tar, FILE.dataOffset);
  writeFileSync(path, Buffer.concat([Buffer.alloc(HEAD_SIZE), tar]));
  const sink = new ErofsSink({ path, name: 'probe', durable: false });
  try {
    sink.entry(FILE);
    sink.finish(tar.length);
  } finally {
    sink.close();
  }
}

/** Lies at 512 bytes in the tar: aligned to blocks and to nothing larger, as most files are. */
const FILE: TarEntry = {
  type: 'file',
  path: Buffer.from('file'),
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  size: CONTENT.length,
  linkname: new Uint8Array(0),
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: [],
  dataOffset: 512,
  storedSize: CONTENT.length,
};

/** The mount is never attached anywhere: it is gone when its descriptor is. */
function readBack(image: string, directio: boolean): void {
  using context = new FsContext('erofs');
  context.set('source', image);
  if (directio) context.flag('directio');
  context.create();
  const mountFd = context.mount();
  try {
    const fd = openSync(`/proc/self/fd/${mountFd}/file`, 'r');
    try {
      if (!readFileSync(fd).equals(CONTENT)) throw new Error('the mounted file reads wrong');
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(mountFd);
  }
}

function reasonOf(error: unknown): string {
  if (hasErrno(error, 'ENODEV')) return 'the kernel has no EROFS (CONFIG_EROFS_FS)';
  if (hasErrno(error, 'ENOTBLK')) return NO_FILES;
  if (hasErrno(error, 'EPERM', 'EACCES')) return 'mounting needs root';
  if (hasErrno(error, 'EROFS')) return 'the store lies on a read-only file system';
  if (hasErrno(error, 'ENOSYS')) return 'the kernel lacks fsopen(2) (Linux 5.2)';
  return asTslayerError(error).message;
}
