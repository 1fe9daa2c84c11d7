/**
 * An unfinished blob: the file ingest/ALGORITHM-HEX, whose flock makes its holder the only writer. Its length is
 * all that resuming needs: the bytes are hashed again by whoever takes it over, so a tail that a power loss
 * garbled costs a fetch and never becomes a blob.
 */
import { fdatasync, fstatSync, ftruncateSync, readSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { asTslayerError, isTslayerError, TslayerError, throwIfAborted } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf } from '../oci/digest.ts';
import { startWriteback } from '../sys/files.ts';
import { type Hash, openHash } from '../sys/hash.ts';
import type { FileLock } from '../sys/locks.ts';
import { writeAll } from '../sys/write-all.ts';
import type { BlobInfo, Ingest } from './blob-store.ts';
import type { DirectorySync } from './directory-sync.ts';
import { requireSpace } from './space.ts';

const READ_BYTES = 1024 * 1024;
/** Free space is looked at again after so many bytes. */
const SPACE_INTERVAL = 32 * 1024 * 1024;
/** Bytes that are handed to the disk at a time. */
const WRITE_BACK = 8 * 1024 * 1024;
const sync = promisify(fdatasync);

export interface FileIngestOptions {
  readonly descriptor: Descriptor;
  /** Held on the partial file. */
  readonly lock: FileLock;
  readonly target: string;
  /** Directory of `target`; undefined when nothing is to be durable. */
  readonly directory: DirectorySync | undefined;
}

export class FileIngest implements Ingest {
  readonly descriptor: Descriptor;
  readonly #lock: FileLock;
  readonly #target: string;
  readonly #directory: DirectorySync | undefined;
  #hash: Hash;
  #written = 0;
  #checkedAt = 0;
  #writtenBack = 0;
  #resumedAt = 0;
  #open = true;

  constructor(options: FileIngestOptions) {
    this.descriptor = options.descriptor;
    this.#lock = options.lock;
    this.#target = options.target;
    this.#directory = options.directory;
    this.#hash = openHash(algorithmOf(options.descriptor.digest));
  }

  get offset(): number {
    return this.#written;
  }

  /** Hashes what an earlier process left. More than the whole blob cannot be its beginning: forgotten. */
  async takeOver(signal: AbortSignal | undefined): Promise<void> {
    const { size } = fstatSync(this.#lock.fd);
    if (size > this.descriptor.size) this.restart();
    else if (size > 0) {
      for (const chunk of this.#read(size)) {
        this.#hash.update(chunk);
        await turn();
        throwIfAborted(signal);
      }
      this.#written = size;
      this.#resumedAt = size;
    }
    requireSpace(dirname(this.#lock.path), this.descriptor.size - this.#written, `blob ${this.descriptor.digest}`);
  }

  write(chunk: Uint8Array): void {
    if (this.#written + chunk.length > this.descriptor.size) {
      const { digest, size } = this.descriptor;
      this.discard();
      throw new TslayerError('SIZE_MISMATCH', `blob ${digest}: more than the ${size} bytes of its descriptor`);
    }
    this.#hash.update(chunk);
    this.#store(chunk);
    this.#written += chunk.length;
    if (this.#directory) this.#writeBack();
    if (this.#written - this.#checkedAt >= SPACE_INTERVAL) this.#checkSpace();
  }

  /** The disk works while the blob comes, so that the wait at the end is short. */
  #writeBack(): void {
    const behind = this.#written - this.#writtenBack;
    if (behind < WRITE_BACK) return;
    startWriteback(this.#lock.fd, this.#writtenBack, behind);
    this.#writtenBack = this.#written;
  }

  async *readPartial(): AsyncIterable<Uint8Array> {
    // What is read grows while it is read when the caller writes: the bytes that were found are what it asked for.
    for (const chunk of this.#read(this.#resumedAt)) {
      yield chunk;
      await turn();
    }
  }

  restart(): void {
    ftruncateSync(this.#lock.fd, 0);
    this.#hash = openHash(algorithmOf(this.descriptor.digest));
    this.#written = 0;
    this.#checkedAt = 0;
    this.#writtenBack = 0;
    this.#resumedAt = 0;
  }

  async commit(): Promise<BlobInfo> {
    const { digest, size } = this.descriptor;
    if (this.#written !== size) {
      this.discard();
      throw new TslayerError('SIZE_MISMATCH', `blob ${digest}: expected ${size} bytes, found ${this.#written}`);
    }
    const found = `${algorithmOf(digest)}:${this.#hash.digest().toString('hex')}`;
    if (found !== digest) {
      this.discard();
      throw new TslayerError('DIGEST_MISMATCH', `blob: expected ${digest}, found ${found}`);
    }
    if (this.#directory) await sync(this.#lock.fd);
    renameSync(this.#lock.path, this.#target);
    if (this.#directory) await this.#directory.sync();
    this.#close();
    return { digest, size };
  }

  discard(): void {
    if (!this.#open) return;
    // Unlinked while locked: a waiter finds that it holds a ghost and takes the name anew.
    rmSync(this.#lock.path, { force: true });
    this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing to go on from: not even a name is left.
    if (this.#open && this.#written === 0) this.discard();
    this.#close();
  }

  #close(): void {
    this.#open = false;
    this.#lock[Symbol.dispose]();
  }

  *#read(length: number): Generator<Uint8Array> {
    for (let position = 0; position < length; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length - position));
      const count = readSync(this.#lock.fd, buffer, 0, buffer.length, position);
      if (count === 0) throw new TslayerError('SIZE_MISMATCH', `${this.#lock.path} became shorter while it was read`);
      position += count;
      yield buffer.subarray(0, count);
    }
  }

  #store(chunk: Uint8Array): void {
    try {
      writeAll(this.#lock.fd, chunk);
    } catch (error) {
      throw this.#discardWhenFull(asTslayerError(error, `cannot write blob ${this.descriptor.digest}`));
    }
  }

  #checkSpace(): void {
    this.#checkedAt = this.#written;
    try {
      requireSpace(dirname(this.#lock.path), this.descriptor.size - this.#written, `blob ${this.descriptor.digest}`);
    } catch (error) {
      throw this.#discardWhenFull(error);
    }
  }

  /** A full disk needs its space back more than a later pull needs the partial. */
  #discardWhenFull(error: unknown): unknown {
    if (isTslayerError(error, 'NO_SPACE')) this.discard();
    return error;
  }
}
