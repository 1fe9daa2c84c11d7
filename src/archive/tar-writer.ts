/**
 * Writes a layer's tar of changes. The same changes give the same bytes, on every driver and machine. Holes become
 * zeros, as in the layers of every other tool. OCI Image Specification layer.md.
 */
import { TslayerError, throwIfAborted } from '../errors.ts';
import type { TarEntry } from './entry.ts';
import { quote } from './tar/bytes.ts';
import { checkName, encodeEntry, paddingOf, type Room } from './tar/encode.ts';
import { BLOCK } from './tar/header.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './tar/whiteouts.ts';

/**
 * What a layer says of one name; a driver's `Change` is one. `open` gives the stored bytes, segments of sparse files;
 * `readInto` all of them at once, for files that are worth it.
 */
export type TarItem =
  | {
      readonly kind: 'added' | 'modified';
      readonly entry: TarEntry;
      open?(): AsyncIterable<Uint8Array>;
      readInto?(target: Uint8Array): void;
    }
  | { readonly kind: 'deleted' | 'opaque'; readonly path: Uint8Array };

export interface TarWriterOptions {
  /** Seconds since 1970: later times are written as this one (SOURCE_DATE_EPOCH). */
  readonly latestTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const EMPTY = Buffer.alloc(0);
const SLASH = Buffer.from('/');
/** Bytes of each chunk but the last: what the compression works on at once, so that it need not copy them. */
const ROOM = 1024 ** 2;
/** Files up to so many bytes are read at once. */
const SMALL = 256 * 1024;

/** The tar with its end. FAILED when a file has other bytes than its entry says. */
export async function* writeTar(
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
  options: TarWriterOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const out = new Gathered();
  for await (const item of items) {
    throwIfAborted(options.signal);
    if ('path' in item) encodeMark(out, item.kind, item.path);
    else {
      const entry = clamped(item.entry, options.latestTime);
      checkName(entry.path);
      encodeEntry(entry, out);
      if (entry.type === 'file' && entry.size > 0) {
        if (item.readInto && !entry.segments && entry.size <= SMALL) item.readInto(out.take(entry.size));
        else yield* writeContent(out, entry, item.open?.() ?? nothing());
        out.skip(paddingOf(entry.size));
      }
    }
    if (out.full.length > 0) yield* out.full.splice(0);
  }
  out.skip(2 * BLOCK);
  out.end();
  yield* out.full;
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
    out.add(chunk);
    if (out.full.length > 0) yield* out.full.splice(0);
  }
  if (left !== 0) throw new TslayerError('FAILED', `${quote(entry.path)} has other bytes than its size says`);
}

function clamped(entry: TarEntry, latest: number | undefined): TarEntry {
  const { seconds, nanoseconds } = entry.mtime;
  if (latest === undefined || seconds < latest || (seconds === latest && nanoseconds === 0)) return entry;
  return { ...entry, mtime: { seconds: latest, nanoseconds: 0 } };
}

/** An empty file of the mark's name: a deletion has no attributes. layer.md "Whiteouts". */
function encodeMark(out: Gathered, kind: 'deleted' | 'opaque', path: Uint8Array): void {
  const slash = path.lastIndexOf(0x2f) + 1;
  const name =
    kind === 'deleted'
      ? Buffer.concat([path.subarray(0, slash), Buffer.from(WHITEOUT_PREFIX), path.subarray(slash)])
      : Buffer.concat([path, path.length === 0 ? EMPTY : SLASH, Buffer.from(OPAQUE_NAME)]);
  encodeEntry({ ...MARK, path: name }, out);
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

/**
 * The tar in chunks of one size, which are written where they are sent from: a buffer for each header and each small
 * file would cost more than all else that is done for them.
 */
class Gathered implements Room {
  /** What is to be sent, each the receiver's own. */
  readonly full: Uint8Array[] = [];
  #room = Buffer.allocUnsafeSlow(ROOM);
  #used = 0;
  /** What was taken over the end of the room. */
  #over: Buffer | undefined;

  take(length: number): Buffer {
    this.#settle();
    const end = this.#used + length;
    if (end > ROOM) {
      this.#over = Buffer.allocUnsafe(length);
      return this.#over;
    }
    const taken = this.#room.subarray(this.#used, end);
    this.#used = end;
    return taken;
  }

  add(piece: Uint8Array): void {
    this.#settle();
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + ROOM - this.#used);
      this.#room.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
      if (this.#used === ROOM) this.#send();
    }
  }

  /** Zeros. */
  skip(length: number): void {
    if (length > 0) this.take(length).fill(0);
  }

  end(): void {
    this.#settle();
    if (this.#used > 0) this.#send();
  }

  #settle(): void {
    const over = this.#over;
    this.#over = undefined;
    if (over !== undefined) this.add(over);
  }

  #send(): void {
    this.full.push(this.#room.subarray(0, this.#used));
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
