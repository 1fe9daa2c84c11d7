/**
 * Entries as header blocks. Plain ustar where that holds everything, else a PAX header in front with raw bytes in it:
 * times to the nanosecond, ids of 32 bits, long names, binary attributes. The same entry gives the same bytes on
 * every machine: no names of users, no process ids, records sorted by keyword.
 */
import { TslayerError } from '../../errors.ts';
import type { EntryType, TarEntry } from '../entry.ts';
import { quote } from './bytes.ts';
import * as header from './header.ts';
import { BLOCK } from './header.ts';
import { encodeSchilyName } from './xattrs.ts';

const TYPEFLAGS: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};
const SLASH = 0x2f;
const NOTHING = Buffer.alloc(0);
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;
const MAX_TIME = 0o77777777777;

/** The blocks in front of an entry's data. `entry.size` bytes follow, padded by `paddingOf`; holes as zeros. */
export function encodeEntry(entry: TarEntry): Uint8Array {
  const name = nameOf(entry);
  const prefix = prefixEnd(name);
  const payload = payloadOf(recordsOf(entry, name, prefix));
  const extra = payload.length === 0 ? 0 : BLOCK + payload.length + paddingOf(payload.length);
  const blocks = Buffer.alloc(extra + BLOCK);
  if (extra > 0) writePax(blocks.subarray(0, extra), payload, name);
  writeHeader(blocks.subarray(extra), entry, name, prefix ?? 0);
  return blocks;
}

export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function nameOf({ path, type }: TarEntry): Uint8Array {
  if (type !== 'directory') return path;
  return path.length === 0 ? Buffer.from('./') : Buffer.concat([path, Buffer.from('/')]);
}

/** Where a name is cut into ustar's two fields: 0 when it fits in one, undefined when it fits in neither. */
function prefixEnd(name: Uint8Array): number | undefined {
  if (name.length <= header.NAME.length) return 0;
  const slash = name.indexOf(SLASH, name.length - header.NAME.length - 1);
  const fits = slash > 0 && slash <= header.PREFIX.length && slash < name.length - 1;
  return fits ? slash : undefined;
}

type Record_ = readonly [keyword: string, value: Uint8Array];

function recordsOf(entry: TarEntry, name: Uint8Array, prefix: number | undefined): Record_[] {
  const records: Record_[] = [];
  const text = (keyword: string, value: string) => records.push([keyword, Buffer.from(value)]);
  const { mtime, linkname } = entry;
  if (prefix === undefined) records.push(['path', name]);
  if (linkname.length > header.LINKNAME.length) records.push(['linkpath', linkname]);
  if (entry.uid > MAX_ID) text('uid', String(entry.uid));
  if (entry.gid > MAX_ID) text('gid', String(entry.gid));
  if (entry.size > MAX_SIZE) text('size', String(entry.size));
  if (mtime.nanoseconds !== 0 || mtime.seconds < 0 || mtime.seconds > MAX_TIME) text('mtime', timeText(entry));
  for (const { name: xattr, value } of entry.xattrs) {
    records.push([`SCHILY.xattr.${encodeSchilyName(Buffer.from(xattr).toString('latin1'))}`, value]);
  }
  return records.length < 2 ? records : records.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Decimal seconds; before 1970 the fraction counts backwards: 1/4 s before -1 is -1.25. */
function timeText({ mtime: { seconds, nanoseconds } }: TarEntry): string {
  const negative = seconds < 0;
  const whole = negative && nanoseconds > 0 ? -(seconds + 1) : Math.abs(seconds);
  const fraction = negative && nanoseconds > 0 ? 1e9 - nanoseconds : nanoseconds;
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
  return `${negative ? '-' : ''}${whole}${digits}`;
}

function writePax(blocks: Buffer, payload: Uint8Array, name: Uint8Array): void {
  // Only shown by programs that do not know PAX.
  blocks.write('PaxHeaders.0/', 0, 'latin1');
  blocks.set(name.subarray(Math.max(0, name.length - 80)), 13);
  fill(blocks, { mode: 0o644, uid: 0, gid: 0, size: payload.length, time: 0, typeflag: 'x' });
  blocks.set(payload, BLOCK);
}

function payloadOf(records: readonly Record_[]): Uint8Array {
  const [first] = records;
  if (first === undefined) return NOTHING;
  return records.length === 1 ? recordBytes(first) : Buffer.concat(records.map(recordBytes));
}

/** `LENGTH KEYWORD=VALUE\n`, where the length counts its own digits. */
function recordBytes([keyword, value]: Record_): Uint8Array {
  const rest = keyword.length + value.length + ' =\n'.length;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  const bytes = Buffer.allocUnsafe(length);
  const at = bytes.write(`${length} ${keyword}=`, 0, 'latin1');
  bytes.set(value, at);
  bytes[length - 1] = 0x0a;
  return bytes;
}

function writeHeader(block: Buffer, entry: TarEntry, name: Uint8Array, prefix: number): void {
  const start = prefix === 0 ? 0 : prefix + 1;
  block.set(name.subarray(start, start + header.NAME.length), header.NAME.at);
  if (prefix > 0) block.set(name.subarray(0, prefix), header.PREFIX.at);
  if (entry.linkname.length > 0) block.set(entry.linkname.subarray(0, header.LINKNAME.length), header.LINKNAME.at);
  if (entry.type === 'char' || entry.type === 'block') {
    octal(block, header.DEVICE_MAJOR, entry.deviceMajor);
    octal(block, header.DEVICE_MINOR, entry.deviceMinor);
  }
  const { uid, gid, size, mtime, mode } = entry;
  fill(block, {
    mode,
    uid: uid > MAX_ID ? 0 : uid,
    gid: gid > MAX_ID ? 0 : gid,
    size: size > MAX_SIZE ? 0 : size,
    time: Math.min(MAX_TIME, Math.max(0, mtime.seconds)),
    typeflag: TYPEFLAGS[entry.type],
  });
}

interface Fields {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly time: number;
  readonly typeflag: string;
}

function fill(block: Buffer, fields: Fields): void {
  octal(block, header.MODE, fields.mode);
  octal(block, header.UID, fields.uid);
  octal(block, header.GID, fields.gid);
  octal(block, header.SIZE, fields.size);
  octal(block, header.MTIME, fields.time);
  block.write(fields.typeflag, header.TYPE_AT, 'latin1');
  block.write('ustar\u000000', header.MAGIC_AT, 'latin1');
  const sum = header.checksumOf(new DataView(block.buffer, block.byteOffset, BLOCK), 0);
  octal(block, { at: header.CHECKSUM.at, length: 7 }, sum);
  block[header.CHECKSUM.at + 7] = 0x20;
}

/** Digits up to the NUL that ends the field. Not by shifts: sizes and times have more than 32 bits. */
function octal(block: Buffer, { at, length }: { readonly at: number; readonly length: number }, value: number): void {
  let left = value;
  for (let i = at + length - 2; i >= at; i--) {
    block[i] = 0x30 + (left % 8);
    left = Math.floor(left / 8);
  }
}

/** Refuses what a tar cannot say, or what its reader would take for something else. */
export function checkName(path: Uint8Array): void {
  if (path.includes(0)) throw new TslayerError('INVALID_ARGUMENT', `tar: ${quote(path)} has a NUL in it`);
  for (let at = 0; at < path.length; at = path.indexOf(SLASH, at) + 1) {
    const whiteout = path[at] === 0x2e && Buffer.from(path.subarray(at, at + 4)).toString('latin1') === '.wh.';
    if (whiteout) {
      const hint = 'rename the file: an image cannot hold a name that begins with .wh.';
      throw new TslayerError('INVALID_ARGUMENT', `${quote(path)} would be read as a whiteout`, { hint });
    }
    if (path.indexOf(SLASH, at) === -1) return;
  }
}
