/**
 * Uploads that a push began and did not end, one file each, so that the next push of the blob goes on with it:
 *
 *   ROOT/uploads/HEX     sha256 of registry/repository@digest; 0600, for the address in it may carry a token
 *
 * The file is locked by whoever uploads, taken away when the blob has arrived, and by time. What is lost or cut short
 * of one costs an upload from the beginning: nothing is synced.
 */
import { existsSync, ftruncateSync, mkdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository, UnfinishedUpload, UploadMemory } from '../../registry-client/client.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { nameOf } from '../oci/reference.ts';
import type { StorePaths } from '../store-layout.ts';
import { hashOf } from '../sys/hash.ts';
import { hasErrno } from '../sys/libc.ts';
import { type FileLock, tryLock } from '../sys/locks.ts';
import { namesIn } from '../sys/names-in.ts';
import type { StoreContext } from './context.ts';

/**
 * Smaller blobs are sent again: on a line of 10 Mbit/s that takes 7 s, and asking for an upload that the registry has
 * forgotten costs a request.
 */
export const REMEMBERED_BYTES: number = 8 * 1024 * 1024;

/** Undefined for a blob that is not worth it. Dispose it when the push is over, however it ended. */
export function uploadMemory(
  { uploads }: StorePaths,
  repository: Repository,
  { digest, size }: Descriptor,
  minBytes: number = REMEMBERED_BYTES,
): (UploadMemory & Disposable) | undefined {
  if (size < minBytes) return undefined;
  return new FileMemory(uploads, hashOf('sha256', Buffer.from(`${nameOf(repository)}@${digest}`)));
}

class FileMemory implements UploadMemory, Disposable {
  readonly #directory: string;
  readonly #path: string;
  #lock: FileLock | undefined;
  #isOver = false;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#path = join(directory, name);
  }

  recall(): UnfinishedUpload | undefined {
    this.#take();
    return this.#lock && parse(readFileSync(this.#path, 'utf8'));
  }

  keep(upload: UnfinishedUpload): void {
    if (this.#isOver) return;
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      this.#lock ??= tryLock(this.#path);
      // Another process sends the same blob to the same place; each has its own upload, and one of them is remembered.
      if (this.#lock === undefined) return;
      ftruncateSync(this.#lock.fd, 0);
      writeSync(this.#lock.fd, JSON.stringify(upload));
    } catch (error) {
      // A push that can be sent must not fail because it could not be resumed.
      if (!hasErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES')) throw error;
    }
  }

  forget(): void {
    this.#isOver = true;
    // An earlier process may have brought the blob there, and died before it could say so.
    this.#take();
    // Unlinked while locked: whoever waits finds that he holds a ghost.
    if (this.#lock !== undefined) rmSync(this.#path, { force: true });
    this[Symbol.dispose]();
  }

  /** The lock of a file that is there, if it is free. */
  #take(): void {
    if (this.#lock === undefined && existsSync(this.#path)) this.#lock = tryLock(this.#path);
  }

  [Symbol.dispose](): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }
}

function parse(text: string): UnfinishedUpload | undefined {
  try {
    const { endpoint, location } = JSON.parse(text) as Record<string, unknown>;
    return typeof endpoint === 'string' && typeof location === 'string' ? { endpoint, location } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export interface StaleUpload {
  readonly name: string;
  readonly bytes: number;
}

/** Those that no push has gone on with in the time that there is for it, or in any time. */
export function staleUploads({ paths, config }: StoreContext, anyTime: boolean = false): StaleUpload[] {
  const before = anyTime ? Number.POSITIVE_INFINITY : Date.now() - config.resumeWindowMs;
  return namesIn(paths.uploads).flatMap((name) => {
    const found = statSync(join(paths.uploads, name), { throwIfNoEntry: false });
    if (found === undefined || found.mtimeMs > before) return [];
    using held = tryLock(join(paths.uploads, name));
    return held === undefined ? [] : [{ name, bytes: found.blocks * 512 }];
  });
}

/** Removes one of them, unless somebody is at it. */
export function removeUpload({ uploads }: StorePaths, { name }: StaleUpload): void {
  using held = tryLock(join(uploads, name));
  if (held !== undefined) rmSync(held.path, { force: true });
}
