/**
 * A tar's files, read in place: one pass notes where each lies, later reads go straight there. Nothing is unpacked,
 * so a hostile name has nothing to overwrite; what remains to check is that a name means one thing only.
 */
import type { FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { abortError, asTslayerError, isTslayerError, TslayerError } from '../errors.ts';
import type { OperationOptions } from '../progress.ts';
import { type FileTree, leavesArchive, normalizeName } from './file-tree.ts';
import { readFrom } from './read-from.ts';

/** A save of 10,000 images has some 100,000 entries; more than this is an attack on memory. */
const MAX_ENTRIES = 1_000_000;
const MAX_LINKS = 8;

type Entry =
  | { readonly offset: number; readonly size: number }
  /** Another name of the archive; undefined when the link leads out of it. */
  | { readonly target: string | undefined };

/** Takes over `file` (also when it fails) and indexes the tar in it. */
export async function openTarTree(file: FileHandle, label: string, options: OperationOptions = {}): Promise<FileTree> {
  try {
    return new TarTree(file, label, await indexTar(file, label, options.signal));
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

async function indexTar(
  file: FileHandle,
  label: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  const tar = extract();
  const source = Readable.from(readFrom(file, 0, Number.POSITIVE_INFINITY), { objectMode: false });
  source.on('error', (error) => tar.destroy(error));
  const abort = () => tar.destroy(signal ? abortError(signal) : undefined);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for await (const entry of source.pipe(tar)) {
      note(entries, entry.header, label);
      entry.resume();
    }
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw asMalformed(error, label);
  } finally {
    signal?.removeEventListener('abort', abort);
    source.destroy();
  }
  if (entries.size === 0) throw new TslayerError('MALFORMED', `${label} is not a tar archive, or an empty one`);
  return entries;
}

function asMalformed(error: unknown, label: string): TslayerError {
  if (isTslayerError(error)) return error;
  if (error instanceof Error && 'code' in error) return asTslayerError(error, `cannot read ${label}`);
  const truncated = error instanceof Error && error.message === 'Unexpected end of data';
  return new TslayerError('MALFORMED', `${label} ${truncated ? 'is cut short' : 'is not a tar archive'}`, {
    cause: error,
  });
}

function note(entries: Map<string, Entry>, header: Header, label: string): void {
  const entry = asEntry(header);
  if (!entry) return;
  const name = normalizeName(header.name);
  if (name === undefined) throw leavesArchive(label, header.name);
  // Two files under one name: which one counts would depend on who reads.
  if (entries.has(name)) {
    throw new TslayerError('MALFORMED', `${label} has two entries named ${JSON.stringify(name.slice(0, 200))}`);
  }
  if (entries.size >= MAX_ENTRIES) {
    throw new TslayerError('LIMIT_EXCEEDED', `${label} has more than ${MAX_ENTRIES} entries`);
  }
  entries.set(name, entry);
}

/** tar-stream sets byteOffset (where the data begins), its types do not know it. */
function asEntry(header: Header & { readonly byteOffset?: number }): Entry | undefined {
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      return { offset: header.byteOffset ?? 0, size: header.size ?? 0 };
    // `docker save` writes a layer that several images share once, and links to it: ID/layer.tar -> ../OTHER/layer.tar
    case 'symlink':
      return { target: normalizeName(header.linkname ?? '', posix.dirname(header.name).replace(/^\.?\/?/, '')) };
    case 'link':
      return { target: normalizeName(header.linkname ?? '') };
    default:
      return undefined;
  }
}

class TarTree implements FileTree {
  readonly label: string;
  readonly #file: FileHandle;
  readonly #entries: ReadonlyMap<string, Entry>;
  #closed = false;

  constructor(file: FileHandle, label: string, entries: ReadonlyMap<string, Entry>) {
    this.#file = file;
    this.label = label;
    this.#entries = entries;
  }

  async size(name: string): Promise<number | undefined> {
    return this.#find(name)?.size;
  }

  async *open(name: string, offset = 0): AsyncGenerator<Uint8Array, void> {
    const found = this.#find(name);
    if (!found) throw new TslayerError('NOT_FOUND', `${this.label} has no ${name}`);
    if (offset < found.size) yield* readFrom(this.#file, found.offset + offset, found.size - offset);
  }

  #find(name: string): { readonly offset: number; readonly size: number } | undefined {
    let at = normalizeName(name);
    for (let links = 0; links <= MAX_LINKS; links++) {
      if (at === undefined) throw leavesArchive(this.label, name);
      const entry = this.#entries.get(at);
      if (!entry || 'offset' in entry) return entry;
      at = entry.target;
    }
    throw new TslayerError('MALFORMED', `${this.label}: ${name} is a loop of links`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}
