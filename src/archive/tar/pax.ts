/**
 * PAX extended headers: records of `LENGTH KEYWORD=VALUE\n`, for one entry (x) or for all that follow (g). POSIX
 * pax, "pax Extended Header". Values are bytes: nothing is decoded as text.
 */
import { TslayerError } from '../../errors.ts';
import type { Timestamp } from '../entry.ts';
import { EMPTY, type Slab } from './bytes.ts';
import { checkId, readDecimal } from './numbers.ts';
import { SparseMap } from './sparse.ts';
import { decodeLibarchiveName, decodeSchilyName } from './xattrs.ts';

const SCHILY = 'SCHILY.xattr.';
const LIBARCHIVE = 'LIBARCHIVE.xattr.';
const SPARSE = 'GNU.sparse.';

interface SparseRecords {
  major?: number | undefined;
  name?: Uint8Array | undefined;
  /** `GNU.sparse.size` (0.x) or `GNU.sparse.realsize` (1.0). */
  realSize?: number | undefined;
  map?: SparseMap | undefined;
}

/** What the records in force say. An empty value takes a record back (and so uncovers the header's own field). */
export interface PaxRecords {
  path?: Uint8Array | undefined;
  linkpath?: Uint8Array | undefined;
  size?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: Timestamp | undefined;
  atime?: Timestamp | undefined;
  /** By name, bytes as Latin-1. */
  xattrs?: Map<string, Uint8Array> | undefined;
  sparse?: SparseRecords | undefined;
}

/** The start of an entry's records: the global ones, in a copy of their own. */
export function inherit(globals: PaxRecords | undefined): PaxRecords {
  if (globals === undefined) return {};
  const { xattrs, sparse } = globals;
  return { ...globals, xattrs: xattrs && new Map(xattrs), sparse: sparse && { ...sparse } };
}

/** Reads all records of one extended header into `records`; what is kept of `bytes` is copied. */
export function parsePax(bytes: Uint8Array, records: PaxRecords, slab: Slab): void {
  for (let at = 0; at < bytes.length; ) {
    let digits = at;
    while (digits < bytes.length && bytes[digits] !== 0x20) digits++;
    const end = at + readDecimal(bytes, at, digits);
    const equals = bytes.indexOf(0x3d, digits);
    if (end > bytes.length || end <= digits + 1 || bytes[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw new TslayerError('MALFORMED', 'tar: a PAX record that is none');
    }
    const keyword = latin1(bytes, digits + 1, equals);
    setRecord(records, keyword, bytes, equals + 1, end - 1, slab);
    at = end;
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

function setRecord(records: PaxRecords, keyword: string, bytes: Uint8Array, start: number, end: number, slab: Slab) {
  const empty = start === end;
  switch (keyword) {
    case 'path':
      records.path = empty ? undefined : slab.copy(bytes, start, end);
      return;
    case 'linkpath':
      records.linkpath = empty ? undefined : slab.copy(bytes, start, end);
      return;
    case 'size':
      records.size = empty ? undefined : readDecimal(bytes, start, end);
      return;
    case 'uid':
      records.uid = empty ? undefined : checkId(readDecimal(bytes, start, end), 'uid');
      return;
    case 'gid':
      records.gid = empty ? undefined : checkId(readDecimal(bytes, start, end), 'gid');
      return;
    case 'mtime':
      records.mtime = empty ? undefined : readTime(latin1(bytes, start, end));
      return;
    case 'atime':
      records.atime = empty ? undefined : readTime(latin1(bytes, start, end));
      return;
    default:
      if (keyword.startsWith(SCHILY)) setXattr(records, keyword, slab.copy(bytes, start, end));
      else if (keyword.startsWith(LIBARCHIVE)) setLibarchiveXattr(records, keyword, latin1(bytes, start, end));
      else if (keyword.startsWith(SPARSE)) setSparse(records, keyword.slice(SPARSE.length), bytes, start, end, slab);
  }
}

function setXattr(records: PaxRecords, keyword: string, value: Uint8Array): void {
  records.xattrs ??= new Map();
  records.xattrs.set(decodeSchilyName(keyword.slice(SCHILY.length)), value);
}

/** bsdtar writes both spellings of the same attribute: the one without an encoding wins. */
function setLibarchiveXattr(records: PaxRecords, keyword: string, value: string): void {
  const name = decodeLibarchiveName(keyword.slice(LIBARCHIVE.length));
  records.xattrs ??= new Map();
  if (!records.xattrs.has(name)) records.xattrs.set(name, value === '' ? EMPTY : Buffer.from(value, 'base64'));
}

function setSparse(records: PaxRecords, key: string, bytes: Uint8Array, start: number, end: number, slab: Slab) {
  records.sparse ??= {};
  const { sparse } = records;
  switch (key) {
    case 'major':
      sparse.major = readDecimal(bytes, start, end);
      return;
    case 'name':
      sparse.name = slab.copy(bytes, start, end);
      return;
    case 'size':
    case 'realsize':
      sparse.realSize = readDecimal(bytes, start, end);
      return;
    case 'offset': // 0.0 repeats these two, in order
    case 'numbytes':
      sparse.map ??= new SparseMap();
      sparse.map.push(readDecimal(bytes, start, end));
      return;
    case 'map': // 0.1 joins them by commas
      sparse.map = new SparseMap();
      if (start === end) return;
      for (let at = start; at <= end; ) {
        let stop = at;
        while (stop < end && bytes[stop] !== 0x2c) stop++;
        sparse.map.push(readDecimal(bytes, at, stop));
        at = stop + 1;
      }
  }
}

const TIME = /^(-?)(\d{1,15})(?:\.(\d*))?$/;

/** Decimal seconds with a fraction; before 1970 the fraction still counts forward from `seconds`. */
function readTime(text: string): Timestamp {
  const match = TIME.exec(text);
  if (match === null) throw new TslayerError('MALFORMED', 'tar: a PAX time that is none');
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
