/** A fresh ext4 in a sparse file, so that each round starts on the same empty disk and none fills the machine's. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { syncfs } from '../../src/sys/files.ts';

export class ScratchDisk implements Disposable {
  /** The mounted file system. */
  readonly path: string;
  readonly #directory: string;
  readonly #loop: string;

  constructor(bytes: number = 4 * 2 ** 30) {
    this.#directory = mkdtempSync(join(process.env.TSLAYER_BENCH_DIR ?? tmpdir(), 'tslayer-bench-'));
    const image = join(this.#directory, 'disk');
    writeFileSync(image, '');
    truncateSync(image, bytes);
    // No lazy initialisation: the kernel would write inode tables while others are measured.
    const options = ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', '-i', '8192'];
    execFileSync('mkfs.ext4', [...options, image], { stdio: 'pipe' });
    this.path = join(this.#directory, 'fs');
    mkdirSync(this.path);
    this.#loop = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    try {
      execFileSync('mount', [this.#loop, this.path]);
    } catch (error) {
      this.#detach();
      throw error;
    }
  }

  /** Bytes that reached the disk since it was made, after all that is dirty was written. */
  bytesWritten(): number {
    this.sync();
    const fields = readFileSync(`/sys/block/${basename(this.#loop)}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    return Number(fields[6]) * 512;
  }

  sync(): void {
    const fd = openSync(this.path, 'r');
    try {
      syncfs(fd);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    // What a tool left mounted below goes with it.
    execFileSync('umount', ['--recursive', '--lazy', this.path]);
    this.#detach();
  }

  #detach(): void {
    execFileSync('losetup', ['--detach', this.#loop]);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Waits until everything that is dirty was written. */
export function settleDisks(): void {
  execFileSync('sync');
}

/** Forgets what is cached of files, so that reads come from the disk. */
export function dropCaches(): void {
  settleDisks();
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}
