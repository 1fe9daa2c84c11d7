/**
 * fsck.erofs, in a version that knows blocks of 512 bytes (erofs-utils 1.6; Debian 12 has 1.5). Where the machine's
 * own is older, test/support/get-erofs-utils.sh brings Debian 13's into .tmp/erofs-utils, with its libraries.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { programPath, type Requirement } from './requires.ts';

const BROUGHT = process.env.TSLAYER_EROFS_UTILS ?? resolve(import.meta.dirname, '../../.tmp/erofs-utils');

/** The command that runs it, or undefined. */
function fsckCommand(): string[] | undefined {
  const libraries = join(BROUGHT, 'usr/lib', process.arch === 'x64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu');
  const loader = join(libraries, process.arch === 'x64' ? 'ld-linux-x86-64.so.2' : 'ld-linux-aarch64.so.1');
  if (existsSync(loader)) return [loader, '--library-path', libraries, join(BROUGHT, 'usr/bin/fsck.erofs')];
  const own = programPath('fsck.erofs');
  const version = own === undefined ? '' : spawnSync(own, ['-V'], { encoding: 'utf8' }).stdout;
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return own !== undefined && (major > 1 || minor >= 6) ? [own] : undefined;
}

export const fsckErofs: Requirement = () =>
  fsckCommand() === undefined ? 'needs fsck.erofs 1.6 or newer (run test/support/get-erofs-utils.sh)' : undefined;

const FEATURE_COMPAT_AT = 1024 + 8;

/**
 * What fsck.erofs says of an image; empty when it finds nothing. Reads all inodes, directories, maps and data.
 * The checksum feature is taken off meanwhile: erofs-utils up to 1.8 crash on it where blocks are smaller than 1 KiB
 * (they check `block size - 1024` bytes); the kernel is what verifies it.
 * @param devices the images that a merged one has its data in, in its order
 */
export function fsck(image: string, devices: readonly string[] = []): string {
  const [program = '', ...args] = fsckCommand() ?? [];
  args.push(...devices.map((path) => `--device=${path}`), '--extract', image);
  const fd = openSync(image, 'r+');
  const features = Buffer.alloc(4);
  readSync(fd, features, 0, 4, FEATURE_COMPAT_AT);
  try {
    writeSync(fd, Buffer.of(features[0]! & ~1), 0, 1, FEATURE_COMPAT_AT);
    const run = spawnSync(program, args, { encoding: 'utf8' });
    return run.status === 0 ? run.stderr : `status ${run.status ?? run.signal}: ${run.stdout}${run.stderr}`;
  } finally {
    writeSync(fd, features, 0, 4, FEATURE_COMPAT_AT);
    closeSync(fd);
  }
}
