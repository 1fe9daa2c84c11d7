/** One layer on its way in: a partial file, locked by us, that becomes the layer by a rename. */
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import type { SinkResult } from '../../src/archive/sink.ts';
import { TslayerError } from '../../src/errors.ts';
import { type FileLock, tryLock } from '../../src/sys/locks.ts';
import { moduleUrl } from '../../src/sys/module-url.ts';
import type { LayerApplication, LayerId } from '../driver.ts';
import type { Files } from './files.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { readNote } from './format/note.ts';
import { decodeHead } from './format/superblock.ts';
import type { ErofsSinkOptions } from './sink.ts';

export function beginLayer(files: Files, id: LayerId, durable: boolean): LayerApplication {
  const partial = files.partial(id);
  const lock = tryLock(partial);
  if (lock === undefined) throw new TslayerError('IN_USE', `erofs: layer ${id} is being written by another process`);
  ftruncateSync(lock.fd, 0);
  const options: ErofsSinkOptions = { path: partial, name: id, durable };
  return {
    sink: { module: moduleUrl('./sink', import.meta.url).href, options, ownThread: false },
    async commit(_result: SinkResult) {
      const { opaqueRoot } = readHead(lock);
      renameSync(partial, files.layer(id, opaqueRoot));
      if (durable) syncDirectory(files.directory);
      lock[Symbol.dispose]();
    },
    async abort() {
      rmSync(partial, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

/** The head of a finished image; what was cut short has no superblock and is refused here. */
function readHead(lock: FileLock): ReturnType<typeof readNote> {
  const head = Buffer.alloc(HEAD_SIZE);
  readSync(lock.fd, head, 0, HEAD_SIZE, 0);
  decodeHead(head);
  return readNote(head);
}

/** Makes a rename durable. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
