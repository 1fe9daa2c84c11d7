/**
 * The blob store on disk: blobs/ALGORITHM/HEX for what is whole and verified, ingest/ALGORITHM-HEX for what is not
 * yet (see file-ingest.ts). A blob's life: temp → hash while writing → fdatasync → rename → fsync of the directory.
 */
import { createReadStream, fstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asTslayerError, TslayerError, throwIfAborted } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { ALGORITHMS, type Algorithm, type Digest, isDigest, verifyBytes } from '../oci/digest.ts';
import { blobPath, ingestPath, type StorePaths } from '../store-layout.ts';
import type { FileLock } from '../sys/locks.ts';
import { readNames } from '../sys/read-names.ts';
import { unlinkAside } from '../sys/unlink.ts';
import type { BlobInfo, BlobStore, Ingest, IngestOptions } from './blob-store.ts';
import { DirectorySync } from './directory-sync.ts';

const READ_BYTES = 1024 * 1024;
/** `read` is for manifests and configs, which trusted clients limit to 4 MiB. */
const MAX_WHOLE_BYTES = 16 * 1024 * 1024;

export interface FileBlobStoreOptions {
  /** Default true: a blob is on the disk before its name is. */
  readonly durable?: boolean;
}

/** A blob that nobody writes as long as this is held. */
export interface HeldBlob extends Disposable {
  /** Removes what an earlier writer left of it. */
  removePartial(): void;
}

export class FileBlobStore implements BlobStore {
  readonly #paths: StorePaths;
  readonly #durable: boolean;
  readonly #directories = new Map<string, DirectorySync>();

  constructor(paths: StorePaths, options: FileBlobStoreOptions = {}) {
    this.#paths = paths;
    this.#durable = options.durable ?? true;
  }

  path(digest: Digest): string {
    return blobPath(this.#paths, digest);
  }

  stat(digest: Digest): BlobInfo | undefined {
    const found = statSync(this.path(digest), { throwIfNoEntry: false });
    return found?.isFile() ? { digest, size: found.size } : undefined;
  }

  async *open(digest: Digest, range: { start: number; end?: number } = { start: 0 }): AsyncIterable<Uint8Array> {
    // `end` is exclusive here, as in slice; streams count inclusively.
    if (range.end !== undefined && range.end <= range.start) return;
    const end = range.end === undefined ? {} : { end: range.end - 1 };
    const stream = createReadStream(this.path(digest), { start: range.start, ...end, highWaterMark: READ_BYTES });
    try {
      for await (const chunk of stream) yield chunk as Buffer;
    } catch (error) {
      throw asTslayerError(error, `cannot read blob ${digest}`);
    }
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const info = this.stat(digest);
    if (info === undefined) throw new TslayerError('NOT_FOUND', `blob ${digest} is not in the store`);
    if (info.size > MAX_WHOLE_BYTES) {
      throw new TslayerError('LIMIT_EXCEEDED', `blob ${digest} has ${info.size} bytes, too many to be read whole`);
    }
    const bytes = readFileSync(this.path(digest));
    verifyBytes(bytes, digest, 'a stored blob is damaged');
    return bytes;
  }

  async ingest(descriptor: Descriptor, options: IngestOptions = {}): Promise<Ingest | undefined> {
    const { digest, size } = descriptor;
    // Before it is looked for: a file that is seen without the lock may be one that is just being removed.
    const lock = await this.#lock(digest, options);
    try {
      if (this.#present(digest, size)) {
        rmSync(lock.path, { force: true });
        lock[Symbol.dispose]();
        return undefined;
      }
      // Loaded here, as locks are: whoever only reads does without system calls of its own.
      const { FileIngest } = await import('./file-ingest.ts');
      const target = this.path(digest);
      const ingest = new FileIngest({ descriptor, lock, target, directory: this.#directory(dirname(target)) });
      await ingest.takeOver(options.signal);
      return ingest;
    } catch (error) {
      if (statSync(lock.path, { throwIfNoEntry: false })?.size === 0) rmSync(lock.path, { force: true });
      lock[Symbol.dispose]();
      throw error;
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<BlobInfo> {
    verifyBytes(bytes, digest, 'blob');
    await using ingest = await this.ingest({ mediaType: 'application/octet-stream', digest, size: bytes.length });
    if (ingest === undefined) return { digest, size: bytes.length };
    ingest.restart();
    ingest.write(bytes);
    return await ingest.commit();
  }

  /**
   * Takes over a file of the store's own tmp/ as the blob whose digest and size its writer has computed; the file
   * was synced by him. When the blob is there already, the file goes.
   */
  async adopt(path: string, descriptor: Descriptor, options: IngestOptions = {}): Promise<BlobInfo> {
    const { digest, size } = descriptor;
    const target = this.path(digest);
    const directory = this.#directory(dirname(target));
    const lock = await this.#lock(digest, options);
    try {
      if (this.#present(digest, size)) rmSync(path, { force: true });
      else renameSync(path, target);
    } finally {
      rmSync(lock.path, { force: true });
      lock[Symbol.dispose]();
    }
    await directory?.sync();
    return { digest, size };
  }

  async remove(digest: Digest): Promise<void> {
    await unlinkAside(this.path(digest));
  }

  /**
   * Keeps every writer of this digest out while it is held; undefined when one is at work. For removing: whoever
   * wants the blob afterwards sees that it is gone.
   */
  async hold(digest: Digest): Promise<HeldBlob | undefined> {
    const { tryLock } = await import('../sys/locks.ts');
    const lock = tryLock(ingestPath(this.#paths, digest));
    if (lock === undefined) return undefined;
    // Once: afterwards the name may be that of the next one's file.
    let named = true;
    const unlink = () => {
      if (named) rmSync(lock.path, { force: true });
      named = false;
    };
    return {
      removePartial: unlink,
      [Symbol.dispose]() {
        if (fstatSync(lock.fd).size === 0) unlink();
        lock[Symbol.dispose]();
      },
    };
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (const algorithm of ALGORITHMS) {
      for (const name of await this.names(algorithm)) {
        const digest = `${algorithm}:${name}`;
        const info = isDigest(digest) && this.stat(digest);
        if (info) yield info;
      }
    }
  }

  /** The files of an algorithm's blobs by name, without looking at each: hexadecimal digits, if nobody put others there. */
  async names(algorithm: Algorithm): Promise<string[]> {
    return (await readNames(join(this.#paths.blobs, algorithm))).sort();
  }

  /** Partial blobs that an earlier process left or another one is writing. */
  async *listPartial(): AsyncIterable<BlobInfo & { readonly modifiedAt: number; readonly bytesOnDisk: number }> {
    for (const name of await readNames(this.#paths.ingest)) {
      const digest = name.replace('-', ':');
      const found = isDigest(digest) && statSync(`${this.#paths.ingest}/${name}`, { throwIfNoEntry: false });
      if (found) yield { digest, size: found.size, modifiedAt: found.mtimeMs, bytesOnDisk: found.blocks * 512 };
    }
  }

  /** Bytes that whoever writes the blob has so far; 0 when nobody has begun. */
  partialSize(digest: Digest): number {
    return statSync(ingestPath(this.#paths, digest), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Whether somebody has begun to write the blob; he may have died before the first byte. */
  hasPartial(digest: Digest): boolean {
    return statSync(ingestPath(this.#paths, digest), { throwIfNoEntry: false }) !== undefined;
  }

  /** A digest has one size: a descriptor that says otherwise lies, or the disk does. */
  #present(digest: Digest, size: number): boolean {
    const info = this.stat(digest);
    if (info === undefined || info.size === size) return info !== undefined;
    throw new TslayerError('SIZE_MISMATCH', `blob ${digest} has ${info.size} bytes, its descriptor says ${size}`, {
      hint: 'if the store is damaged, fsck finds it',
    });
  }

  async #lock(digest: Digest, options: IngestOptions): Promise<FileLock> {
    const { tryLock } = await import('../sys/locks.ts');
    const path = ingestPath(this.#paths, digest);
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      throwIfAborted(options.signal);
      const held = tryLock(path);
      if (held) return held;
      options.onWait?.(this.partialSize(digest));
      await delay(pause);
    }
  }

  #directory(path: string): DirectorySync | undefined {
    let known = this.#directories.get(path);
    if (known === undefined) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      known = new DirectorySync(path);
      this.#directories.set(path, known);
    }
    return this.#durable ? known : undefined;
  }
}
