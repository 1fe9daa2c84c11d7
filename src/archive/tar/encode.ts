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
const ZERO = 0x30;
const MAGIC = Buffer.from('ustar\u000000');
const PAX_NAME = Buffer.from('PaxHeaders.0/');
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;
const MAX_TIME = 0o77777777777;

/** Where blocks are written to. */
export interface Room {
  /** So many bytes, to be filled before the next are taken. */
  take(length: number): Buffer;
}

/** Writes the blocks in front of an entry's data. `entry.size` bytes follow, padded by `paddingOf`; holes as zeros. */
export function encodeEntry(entry: TarEntry, room: Room): void {
  const name = nameOf(entry);
  const prefix = prefixEnd(name);
  const records = recordsOf(entry, name, prefix);
  let payload = 0;
  for (const record of records) payload += recordLength(record);
  const extra = payload === 0 ? 0 : BLOCK + payload + paddingOf(payload);
  const blocks = room.take(extra + BLOCK).fill(0);
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.length);
  if (extra > 0) writePax({ blocks, view, at: 0 }, records, payload, name);
  writeHeader({ blocks, view, at: extra }, entry, name, prefix ?? 0);
}

/** A header block among others. */
interface Place {
  readonly blocks: Buffer;
  readonly view: DataView;
  readonly at: number;
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

/** Text is ASCII. */
type Record_ = readonly [keyword: string, value: Uint8Array | string];

function recordsOf(entry: TarEntry, name: Uint8Array, prefix: number | undefined): Record_[] {
  const records: Record_[] = [];
  const text = (keyword: string, value: string) => records.push([keyword, value]);
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
  return `${negative ? '-' : ''}${whole}${fraction === 0 ? '' : fractionText(fraction)}`;
}

function fractionText(nanoseconds: number): string {
  const digits = String(nanoseconds).padStart(9, '0');
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end--;
  return `.${digits.slice(0, end)}`;
}

function writePax(place: Place, records: readonly Record_[], payload: number, name: Uint8Array): void {
  const { blocks } = place;
  // Only shown by programs that do not know PAX.
  blocks.set(PAX_NAME, 0);
  blocks.set(name.subarray(Math.max(0, name.length - 80)), PAX_NAME.length);
  fill(place, { mode: 0o644, uid: 0, gid: 0, size: payload, time: 0, typeflag: 'x' });
  let at = BLOCK;
  for (const record of records) at = writeRecord(blocks, at, record);
}

/** `LENGTH KEYWORD=VALUE\n`, where the length counts its own digits. */
function recordLength([keyword, value]: Record_): number {
  const rest = keyword.length + value.length + ' =\n'.length;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return length;
}

/** @returns its end */
function writeRecord(blocks: Buffer, start: number, record: Record_): number {
  const [keyword, value] = record;
  const length = recordLength(record);
  const at = start + blocks.write(`${length} ${keyword}=`, start, 'latin1');
  if (typeof value === 'string') blocks.write(value, at, 'latin1');
  else blocks.set(value, at);
  blocks[start + length - 1] = 0x0a;
  return start + length;
}

function writeHeader(place: Place, entry: TarEntry, name: Uint8Array, prefix: number): void {
  const { blocks, at } = place;
  const start = prefix === 0 ? 0 : prefix + 1;
  blocks.set(name.subarray(start, start + header.NAME.length), at + header.NAME.at);
  if (prefix > 0) blocks.set(name.subarray(0, prefix), at + header.PREFIX.at);
  if (entry.linkname.length > 0) {
    blocks.set(entry.linkname.subarray(0, header.LINKNAME.length), at + header.LINKNAME.at);
  }
  if (entry.type === 'char' || entry.type === 'block') {
    octal(place, header.DEVICE_MAJOR, entry.deviceMajor);
    octal(place, header.DEVICE_MINOR, entry.deviceMinor);
  }
  const { uid, gid, size, mtime, mode } = entry;
  fill(place, {
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

function fill(place: Place, fields: Fields): void {
  const { blocks, view, at } = place;
  octal(place, header.MODE, fields.mode);
  octal(place, header.UID, fields.uid);
  octal(place, header.GID, fields.gid);
  octal(place, header.SIZE, fields.size);
  octal(place, header.MTIME, fields.time);
  blocks[at + header.TYPE_AT] = fields.typeflag.charCodeAt(0);
  blocks.set(MAGIC, at + header.MAGIC_AT);
  octal(place, { at: header.CHECKSUM.at, length: 7 }, header.checksumOf(view, at));
  blocks[at + header.CHECKSUM.at + 7] = 0x20;
}

/** Digits up to the NUL that ends the field. Not by shifts: sizes and times have more than 32 bits. */
function octal({ blocks, at }: Place, field: { readonly at: number; readonly length: number }, value: number): void {
  let left = value;
  for (let i = at + field.at + field.length - 2; i >= at + field.at; i--) {
    blocks[i] = ZERO + (left % 8);
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
