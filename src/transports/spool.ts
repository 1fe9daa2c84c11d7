/**
 * Makes an archive seekable: standard input and compressed files are written to a temporary file without a name
 * (gone with its descriptor, whatever happens), a plain file is read where it is.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { DEFAULT_LIMITS } from '../archive/sink.ts';
import { abortError, asTslayerError, TslayerError } from '../errors.ts';
import type { OperationOptions } from '../progress.ts';
import { readFrom } from './read-from.ts';

export interface SpoolOptions extends OperationOptions {
  /** Where a temporary file may lie; default: the system's. A store gives its own tmp/. */
  readonly tmpDir?: string | undefined;
  /** Largest uncompressed archive, bytes; default 1 TiB. */
  readonly maxBytes?: number | undefined;
  /** Instead of standard input. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

const CHUNK = 1024 * 1024;
const STDIN_FD = 0;

/** The uncompressed tar of `path` (`-`: standard input) as an open, seekable file. */
export async function openSeekable(path: string, label: string, options: SpoolOptions = {}): Promise<FileHandle> {
  if (path === '-') {
    const input = options.stdin ?? createReadStream('', { fd: STDIN_FD, autoClose: false, highWaterMark: CHUNK });
    return spool(await peek(input, label), label, options);
  }
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw asTslayerError(cause, `cannot open ${label}`);
  });
  try {
    const isFile = (await file.stat()).isFile();
    const input = await peek(isFile ? readFrom(file, 0, Number.POSITIVE_INFINITY) : readPipe(file), label);
    if (isFile && !input.filter) return file;
    const spooled = await spool(input, label, options);
    await file.close();
    return spooled;
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

/** A FIFO or device: read in order, without positions. */
async function* readPipe(file: FileHandle): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(CHUNK), 0, CHUNK, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

interface Input {
  /** All of it, the bytes looked at included. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly filter: Transform | undefined;
}

/** Looks at the first bytes, which tell the compression. */
async function peek(source: AsyncIterable<Uint8Array>, label: string): Promise<Input> {
  const iterator = source[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  async function* whole(): AsyncGenerator<Uint8Array, void> {
    try {
      yield* seen;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  try {
    for (let bytes = 0; bytes < 6; ) {
      const next = await iterator.next();
      if (next.done) break;
      seen.push(next.value);
      bytes += next.value.length;
    }
    return { bytes: whole(), filter: decompressor(Buffer.concat(seen), label) };
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

function decompressor(head: Uint8Array, label: string): Transform | undefined {
  const magic = Buffer.from(head.subarray(0, 6)).toString('hex');
  if (magic.startsWith('1f8b')) return createGunzip({ chunkSize: CHUNK });
  if (magic.startsWith('28b52ffd')) return createZstdDecompress({ chunkSize: CHUNK });
  const foreign = magic.startsWith('fd377a58') ? 'xz' : magic.startsWith('425a68') ? 'bzip2' : undefined;
  if (foreign === undefined) return undefined;
  throw new TslayerError('UNSUPPORTED', `${label} is compressed with ${foreign}`, {
    hint: `decompress it first: ${foreign} -dc FILE | tslayer load -i -`,
  });
}

async function spool(input: Input, label: string, options: SpoolOptions): Promise<FileHandle> {
  const file = await openNameless(options.tmpDir ?? tmpdir());
  const sink = (chunks: AsyncIterable<Uint8Array>) =>
    writeAll(file, chunks, label, options.maxBytes ?? DEFAULT_LIMITS.bytes);
  try {
    const bytes = Readable.from(input.bytes, { objectMode: false });
    const signal = options.signal ? { signal: options.signal } : {};
    await (input.filter ? pipeline(bytes, input.filter, sink, signal) : pipeline(bytes, sink, signal));
    return file;
  } catch (error) {
    await file.close();
    if (options.signal?.aborted) throw abortError(options.signal);
    if (error instanceof Error && 'errno' in error && String((error as NodeJS.ErrnoException).code).startsWith('Z_')) {
      throw new TslayerError('MALFORMED', `${label} is damaged: ${error.message}`, { cause: error });
    }
    throw asTslayerError(error, `cannot read ${label}`);
  }
}

async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, `spool-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  return file;
}

async function writeAll(
  file: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  label: string,
  limit: number,
): Promise<void> {
  let written = 0;
  for await (const chunk of chunks) {
    written += chunk.length;
    if (written > limit) throw new TslayerError('LIMIT_EXCEEDED', `${label} has more than ${limit} bytes`);
    await file.writeFile(chunk);
  }
}
