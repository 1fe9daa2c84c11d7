/**
 * Layers as the suite writes them: items in, a tar's bytes out. Everything that a plain header could not hold goes
 * into PAX records, so that no value is cut. pax(1), GNU tar's "PAX 1.0" for sparse files, OCI layer.md.
 */
import type { EntryType, TarEntry } from '../../src/archive/entry.ts';
import { encodeSchilyName } from '../../src/archive/tar/xattrs.ts';
import type { Change } from '../driver.ts';

/** An entry with its stored bytes, or a whiteout (`deleted`), or a directory's opaque mark. */
export type LayerItem =
  | {
      readonly kind: 'added' | 'modified';
      readonly entry: TarEntry;
      open?(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    }
  | Extract<Change, { kind: 'deleted' | 'opaque' }>;

const BLOCK = 512;
const FLAGS: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** The uncompressed tar of a layer, in pieces. */
export async function* encodeLayer(items: Iterable<LayerItem> | AsyncIterable<LayerItem>): AsyncGenerator<Uint8Array> {
  for await (const item of items) {
    if (item.kind === 'deleted') yield whiteoutHeader(item.path);
    else if (item.kind === 'opaque') yield plainHeader(within(item.path, '.wh..wh..opq'), '0', 0);
    else yield* encodeEntry(item.entry, item.open?.bind(item));
  }
  yield Buffer.alloc(2 * BLOCK);
}

function whiteoutHeader(path: Uint8Array): Buffer {
  const slash = path.lastIndexOf(0x2f);
  const name = Buffer.concat([Buffer.from('.wh.'), path.subarray(slash + 1)]);
  const whiteout = slash === -1 ? name : Buffer.concat([path.subarray(0, slash + 1), name]);
  return Buffer.concat([extended([['path', whiteout]]), plainHeader(Buffer.from('whiteout'), '0', 0)]);
}

function within(directory: Uint8Array, name: string): Buffer {
  return directory.length === 0 ? Buffer.from(name) : Buffer.concat([directory, Buffer.from(`/${name}`)]);
}

async function* encodeEntry(
  entry: TarEntry,
  open: (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>) | undefined,
): AsyncGenerator<Uint8Array> {
  const map = entry.segments === undefined ? Buffer.alloc(0) : sparseMap(entry);
  const stored = map.length + entry.storedSize;
  yield extended(recordsOf(entry, stored));
  yield plainHeader(Buffer.from('entry'), FLAGS[entry.type], entry.type === 'file' ? stored : 0, entry);
  if (entry.type !== 'file') return;
  yield map;
  if (entry.storedSize > 0 && open) for await (const chunk of open()) yield chunk;
  yield Buffer.alloc((BLOCK - (stored % BLOCK)) % BLOCK);
}

/** GNU sparse 1.0: the map in front of the data, decimal numbers, padded to a block. */
function sparseMap(entry: TarEntry): Buffer {
  const segments = entry.segments ?? [];
  const numbers = [segments.length, ...segments.flatMap(({ offset, length }) => [offset, length])];
  const text = Buffer.from(`${numbers.join('\n')}\n`);
  return Buffer.concat([text, Buffer.alloc((BLOCK - (text.length % BLOCK)) % BLOCK)]);
}

type PaxRecord = readonly [key: string, value: Uint8Array];

function recordsOf(entry: TarEntry, stored: number): PaxRecord[] {
  const text = (key: string, value: string | number): PaxRecord => [key, Buffer.from(String(value))];
  const name = entry.path.length === 0 ? Buffer.from('.') : entry.path;
  const sparse: PaxRecord[] = [
    text('GNU.sparse.major', 1),
    text('GNU.sparse.minor', 0),
    ['GNU.sparse.name', name],
    text('GNU.sparse.realsize', entry.size),
  ];
  return [
    ['path', name],
    ...(entry.linkname.length > 0 ? [['linkpath', entry.linkname] as const] : []),
    text('uid', entry.uid),
    text('gid', entry.gid),
    text('mtime', timeText(entry.mtime)),
    ...(entry.type === 'file' ? [text('size', stored)] : []),
    ...(entry.segments === undefined ? [] : sparse),
    ...entry.xattrs.map(
      ({ name: xattr, value }) =>
        [`SCHILY.xattr.${encodeSchilyName(Buffer.from(xattr).toString('latin1'))}`, value] as const,
    ),
  ];
}

/** Decimal seconds: -1.25 is 1.25 s before 1970, though the nanoseconds count forward. */
function timeText({ seconds, nanoseconds }: TarEntry['mtime']): string {
  if (seconds >= 0 || nanoseconds === 0) return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
  const whole = seconds + 1;
  return `${whole === 0 ? '-0' : whole}.${String(1_000_000_000 - nanoseconds).padStart(9, '0')}`;
}

function extended(records: readonly PaxRecord[]): Buffer {
  const payload = Buffer.concat(records.map(([key, value]) => record(key, value)));
  const padding = Buffer.alloc((BLOCK - (payload.length % BLOCK)) % BLOCK);
  return Buffer.concat([plainHeader(Buffer.from('pax'), 'x', payload.length), payload, padding]);
}

/** `LENGTH key=value\n`, where LENGTH counts its own digits too. */
function record(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function plainHeader(path: Uint8Array, flag: string, size: number, entry?: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.set(path.subarray(0, 100));
  octal(block, 100, 8, entry?.mode ?? 0o644);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, size >= 2 ** 33 ? 0 : size);
  octal(block, 136, 12, 0);
  block.write('        ', 148);
  block.write(flag, 156);
  block.write('ustar\u000000', 257);
  octal(block, 329, 8, entry?.deviceMajor ?? 0);
  octal(block, 337, 8, entry?.deviceMinor ?? 0);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
}
