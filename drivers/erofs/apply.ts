/** One layer on its way in: a partial file, locked by us, that becomes the layer by a rename. */
import { closeSync, fstatSync, fsync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { TslayerError } from '../../src/errors.ts';
import { type FileLock, tryLock } from '../../src/sys/locks.ts';
import { moduleUrl } from '../../src/sys/module-url.ts';
import type { LayerApplication, LayerId } from '../driver.ts';
import type { LayerFiles } from './files.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { type LayerNote, readNote } from './format/note.ts';
import { decodeHead } from './format/superblock.ts';
import { type ErofsSinkOptions, tarPlace } from './sink-options.ts';

export function beginLayer(files: LayerFiles, id: LayerId, durable: boolean): LayerApplication {
  const partial = files.partial(id);
  const lock = lockEmpty(partial);
  if (lock === undefined) throw new TslayerError('IN_USE', `layer ${id} is being written by another process`);
  const options: ErofsSinkOptions = { path: partial, name: id, durable };
  let [open, renamed] = [true, false];
  const release = (): void => {
    open = false;
    lock[Symbol.dispose]();
  };
  return {
    sink: { module: moduleUrl('./sink', import.meta.url).href, options, tar: tarPlace(options), ownThread: false },
    async commit() {
      if (files.find(id) !== undefined) throw new TslayerError('ALREADY_EXISTS', `layer ${id} exists already`);
      renameSync(partial, files.path(id, readHead(lock.fd).opaqueRoot));
      renamed = true;
      // Until this is done no row names the layer: a crash leaves a file that is swept, be it whole or not.
      if (durable) await Promise.all([sync(lock.fd), syncDirectory(files.directory)]);
      release();
    },
    async abort() {
      if (renamed) await files.remove(id);
      else if (open) rmSync(partial, { force: true });
      if (open) release();
    },
  };
}

/**
 * An empty file under our lock. What a crash left is unlinked and not truncated: ext4 takes a file that was truncated
 * to nothing for one that is being replaced, and writes all of it to disk when it is closed (auto_da_alloc).
 */
function lockEmpty(path: string): FileLock | undefined {
  const lock = tryLock(path);
  if (lock === undefined || fstatSync(lock.fd).size === 0) return lock;
  rmSync(path);
  lock[Symbol.dispose]();
  return lockEmpty(path);
}

/** The head of a finished image; what was cut short has no superblock and is refused here. */
function readHead(fd: number): LayerNote {
  const head = Buffer.alloc(HEAD_SIZE);
  readSync(fd, head, 0, HEAD_SIZE, 0);
  decodeHead(head);
  return readNote(head);
}

/** In the thread pool: the layers of one image are synced side by side, and share the journal's commits. */
const sync = promisify(fsync);

/** Makes a rename durable. */
async function syncDirectory(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}
