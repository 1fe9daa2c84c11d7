/**
 * Blob uploads in progress: one file each under DIR/.uploads, hashed as it grows. Distribution Specification,
 * "Pushing a blob in chunks". A client may ask how far an upload came and go on from there.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts';
import type { LayoutWriter } from './layout-writer.ts';
import { HttpProblem } from './respond.ts';

const MAX_UPLOADS = 256;
/** An upload that nobody touched for so long is dropped. */
const IDLE_MS = 60 * 60 * 1000;

interface Upload {
  readonly id: string;
  readonly repository: string;
  readonly path: string;
  readonly file: FileHandle;
  readonly hash: Hash;
  received: number;
  busy: boolean;
  touched: number;
}

export class Uploads {
  readonly #writer: LayoutWriter;
  readonly #maxBytes: number;
  readonly #active = new Map<string, Upload>();

  constructor(writer: LayoutWriter, maxBytes: number) {
    this.#writer = writer;
    this.#maxBytes = maxBytes;
  }

  async begin(repository: string): Promise<string> {
    await this.#dropIdle();
    if (this.#active.size >= MAX_UPLOADS)
      throw new HttpProblem(429, 'TOOMANYREQUESTS', 'too many uploads', { 'Retry-After': 5 });
    const id = randomUUID();
    const path = join(this.#writer.uploadDir, id);
    const file = await open(path, 'wx', 0o600);
    const hash = createHash('sha256');
    this.#active.set(id, { id, repository, path, file, hash, received: 0, busy: false, touched: Date.now() });
    return id;
  }

  /** Bytes received so far. */
  received(repository: string, id: string): number {
    return this.#get(repository, id).received;
  }

  /** Appends the request's body; `start` is where the client believes that it belongs. */
  async append(repository: string, id: string, body: IncomingMessage, start?: number): Promise<number> {
    const upload = this.#get(repository, id);
    if (upload.busy) throw new HttpProblem(409, 'BLOB_UPLOAD_INVALID', 'another request writes to this upload');
    if (start !== undefined && start !== upload.received) {
      throw new HttpProblem(416, 'BLOB_UPLOAD_INVALID', `the upload has ${upload.received} bytes`, {
        Range: rangeOf(upload.received),
      });
    }
    upload.busy = true;
    try {
      await pipeline(body, this.#sink(upload));
    } finally {
      upload.busy = false;
      upload.touched = Date.now();
    }
    return upload.received;
  }

  #sink(upload: Upload): Writable {
    return new Writable({
      highWaterMark: 4 * 1024 * 1024,
      write: (chunk: Buffer, _encoding, done) => {
        if (upload.received + chunk.length > this.#maxBytes) {
          return done(new HttpProblem(413, 'SIZE_INVALID', `a blob may have ${this.#maxBytes} bytes at most`));
        }
        // The position is explicit: a failed write leaves neither a hole nor a byte that was not hashed.
        upload.file.write(chunk, 0, chunk.length, upload.received).then(({ bytesWritten }) => {
          if (bytesWritten < chunk.length) return done(new Error('short write'));
          upload.hash.update(chunk);
          upload.received += chunk.length;
          done();
        }, done);
      },
    });
  }

  /** Verifies and stores the blob. A wrong digest ends the upload. */
  async finish(repository: string, id: string, digest: Digest): Promise<void> {
    const upload = this.#get(repository, id);
    if (upload.busy) throw new HttpProblem(409, 'BLOB_UPLOAD_INVALID', 'another request writes to this upload');
    this.#active.delete(id);
    try {
      // A write that broke off may have left bytes past the end that was hashed.
      await upload.file.truncate(upload.received);
      await upload.file.sync();
      const found = await digestOfUpload(upload, digest);
      if (found !== digest) throw new HttpProblem(400, 'DIGEST_INVALID', `the bytes have the digest ${found}`);
      await this.#writer.adopt(upload.path, digest);
    } finally {
      await discard(upload);
    }
  }

  async cancel(repository: string, id: string): Promise<void> {
    const upload = this.#get(repository, id);
    this.#active.delete(id);
    await discard(upload);
  }

  async close(): Promise<void> {
    const uploads = [...this.#active.values()];
    this.#active.clear();
    await Promise.all(uploads.map(discard));
    await rm(this.#writer.uploadDir, { recursive: true, force: true });
  }

  #get(repository: string, id: string): Upload {
    const upload = this.#active.get(id);
    if (upload?.repository !== repository) throw new HttpProblem(404, 'BLOB_UPLOAD_UNKNOWN', 'no such upload');
    return upload;
  }

  async #dropIdle(): Promise<void> {
    const now = Date.now();
    for (const upload of this.#active.values()) {
      if (upload.busy || now - upload.touched < IDLE_MS) continue;
      this.#active.delete(upload.id);
      await discard(upload);
    }
  }
}

/** `0-N`, inclusive, as the specification writes progress; an empty upload is `0-0` in every registry. */
export function rangeOf(received: number): string {
  return `0-${Math.max(0, received - 1)}`;
}

async function digestOfUpload(upload: Upload, wanted: Digest): Promise<Digest> {
  const algorithm = algorithmOf(wanted);
  if (algorithm === 'sha256') return parseDigest(`sha256:${upload.hash.digest('hex')}`);
  // Only the last request names the algorithm: another one than sha256 is worth a second look at the bytes.
  const hash = createHash(algorithm);
  await pipeline(createReadStream(upload.path, { highWaterMark: 1024 * 1024 }), hash);
  return parseDigest(`${algorithm}:${hash.digest('hex')}`);
}

async function discard(upload: Upload): Promise<void> {
  await upload.file.close().catch(() => undefined);
  await rm(upload.path, { force: true });
}
