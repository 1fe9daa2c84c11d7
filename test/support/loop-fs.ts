/** A file system of a kind that the machine's own disk may not have, in a file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTslayerError } from '../../src/errors.ts';
import { detachBelow, unmount } from '../../src/mounts/unmount.ts';
import { kernelFs, missing, program, root } from './requires.ts';

export type LoopType = 'ext4' | 'btrfs' | 'xfs';

const MKFS: Readonly<Record<LoopType, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
  xfs: ['mkfs.xfs', '-q', '-f'],
};

/** Why there can be no such file system here. */
export function cannotLoop(type: LoopType): string | undefined {
  return missing(root, kernelFs(type), program(`mkfs.${type}`), program('losetup'));
}

export interface LoopFs extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
  /** The disk, without what is still in memory. */
  readonly image: string;
  /** The machine loses its power and comes back: the same place, with what the disk had at this moment. */
  losePower(): void;
}

/** The image is sparse: `size` costs what is written. `mkfs` adds options, as `-n ftype=0`. */
export function loopFs(type: LoopType, sizeMiB = 2048, mkfs: readonly string[] = []): LoopFs {
  const directory = mkdtempSync(join(tmpdir(), `tslayer-${type}-`));
  const [image, path] = [join(directory, 'image'), join(directory, 'mnt')];
  const make = () => {
    writeFileSync(image, '');
    truncateSync(image, sizeMiB * 1024 * 1024);
    const [program = '', ...options] = MKFS[type];
    execFileSync(program, [...options, ...mkfs, image], { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  return mounted(directory, image, path, type, make);
}

/** A copy of a disk as it is at this moment, mounted. */
export function loopCopy(type: LoopType, disk: string): LoopFs {
  const directory = mkdtempSync(join(tmpdir(), `tslayer-${type}-`));
  const [image, path] = [join(directory, 'image'), join(directory, 'mnt')];
  return mounted(directory, image, path, type, () => copyDisk(disk, image));
}

function copyDisk(from: string, to: string): void {
  execFileSync('cp', ['--sparse=always', from, to]);
}

/** What was detached lets go of its files a moment later: the kernel ends such mounts in its own time. */
function unmountWhenIdle(path: string): void {
  for (let tries = 0; ; tries++) {
    try {
      unmount(path);
      return;
    } catch (error) {
      if (tries === 50 || !isTslayerError(error, 'IN_USE')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

function mounted(directory: string, image: string, path: string, type: LoopType, make: () => void): LoopFs {
  // mount(8) finds a free loop device, which goes with the mount.
  const attach = () => execFileSync('mount', ['-t', type, '-o', 'loop', image, path]);
  const detach = () => {
    detachBelow(path);
    unmountWhenIdle(path);
  };
  try {
    make();
    mkdirSync(path);
    attach();
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return {
    path,
    image,
    losePower() {
      copyDisk(image, `${image}.now`);
      // What is written back, now or by those who still run on it, goes into a file that nobody will see.
      detachBelow(path);
      unmount(path, { detach: true });
      renameSync(`${image}.now`, image);
      attach();
    },
    [Symbol.dispose]() {
      detach();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
