/**
 * Writes a layer's tar of changes. The same changes give the same bytes, on every driver and machine. Holes become
 * zeros, as in the layers of every other tool. OCI Image Specification layer.md.
 */
import { TslayerError, throwIfAborted } from '../errors.ts';
import type { TarEntry } from './entry.ts';
import { quote } from './tar/bytes.ts';
import { checkName, encodeEntry, paddingOf } from './tar/encode.ts';
import { BLOCK } from './tar/header.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './tar/whiteouts.ts';

/** What a layer says of one name; a driver's `Change` is one. `open` gives the stored bytes, segments of sparse files. */
export type TarItem =
  | { readonly kind: 'added' | 'modified'; readonly entry: TarEntry; open?(): AsyncIterable<Uint8Array> }
  | { readonly kind: 'deleted' | 'opaque'; readonly path: Uint8Array };

export interface TarWriterOptions {
  /** Seconds since 1970: later times are written as this one (SOURCE_DATE_EPOCH). */
  readonly latestTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const EMPTY = Buffer.alloc(0);
const SLASH = Buffer.from('/');
/** Small pieces are gathered until there are so many bytes: a thousand small files cost no more than one. */
const ROOM = 256 * 1024;

/** The tar with its end. FAILED when a file has other bytes than its entry says. */
export async function* writeTar(
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
  options: TarWriterOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const out = new Gathered();
  for await (const item of items) {
    throwIfAborted(options.signal);
    if ('path' in item) yield* out.add(encodeMark(item.kind, item.path));
    else {
      const entry = clamped(item.entry, options.latestTime);
      checkName(entry.path);
      yield* out.add(encodeEntry(entry));
      if (entry.type === 'file' && entry.size > 0) yield* writeContent(out, entry, item.open?.() ?? nothing());
    }
  }
  yield* out.add(Buffer.alloc(2 * BLOCK));
  yield* out.end();
}

async function* writeContent(
  out: Gathered,
  entry: TarEntry,
  stored: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  let left = entry.size;
  for await (const chunk of entry.segments ? filled(entry, stored) : stored) {
    left -= chunk.length;
    if (left < 0) break;
    yield* out.add(chunk);
  }
  if (left !== 0) throw new TslayerError('FAILED', `${quote(entry.path)} has other bytes than its size says`);
  yield* out.add(Buffer.alloc(paddingOf(entry.size)));
}

function clamped(entry: TarEntry, latest: number | undefined): TarEntry {
  const { seconds, nanoseconds } = entry.mtime;
  if (latest === undefined || seconds < latest || (seconds === latest && nanoseconds === 0)) return entry;
  return { ...entry, mtime: { seconds: latest, nanoseconds: 0 } };
}

/** An empty file of the mark's name: a deletion has no attributes. layer.md "Whiteouts". */
function encodeMark(kind: 'deleted' | 'opaque', path: Uint8Array): Uint8Array {
  const slash = path.lastIndexOf(0x2f) + 1;
  const name =
    kind === 'deleted'
      ? Buffer.concat([path.subarray(0, slash), Buffer.from(WHITEOUT_PREFIX), path.subarray(slash)])
      : Buffer.concat([path, path.length === 0 ? EMPTY : SLASH, Buffer.from(OPAQUE_NAME)]);
  return encodeEntry({ ...MARK, path: name });
}

const MARK: TarEntry = {
  type: 'file',
  path: EMPTY,
  mode: 0,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  size: 0,
  linkname: EMPTY,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: [],
  dataOffset: 0,
  storedSize: 0,
};

/** Gathers small pieces; large ones pass by as they are. Each chunk is the receiver's own. */
class Gathered {
  #room = Buffer.allocUnsafeSlow(ROOM);
  #used = 0;

  *add(piece: Uint8Array): Generator<Uint8Array, void> {
    if (this.#used + piece.length > ROOM) yield* this.end();
    if (piece.length > ROOM) yield piece;
    else {
      this.#room.set(piece, this.#used);
      this.#used += piece.length;
    }
  }

  *end(): Generator<Uint8Array, void> {
    if (this.#used === 0) return;
    yield this.#room.subarray(0, this.#used);
    this.#room = Buffer.allocUnsafeSlow(ROOM);
    this.#used = 0;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array, void> {}

const ZEROS = Buffer.alloc(64 * 1024);

/** A sparse file's bytes as readers see them: its segments in their places, zeros between. */
export async function* filled(entry: TarEntry, stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const segments = [...(entry.segments ?? [])];
  let at = 0;
  let left = 0;
  for await (const chunk of stored) {
    for (let offset = 0; offset < chunk.length; ) {
      if (left === 0) {
        const next = segments.shift();
        if (!next) return;
        yield* zeros(next.offset - at);
        at = next.offset;
        left = next.length;
        continue;
      }
      const part = chunk.subarray(offset, offset + left);
      yield part;
      offset += part.length;
      at += part.length;
      left -= part.length;
    }
  }
  yield* zeros(entry.size - at);
}

function* zeros(length: number): Generator<Uint8Array, void> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}
