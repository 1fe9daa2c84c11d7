/** Files as the command line and the library show them: plain JSON, nothing lost. */
import type { EntryType, Timestamp, Xattr } from '../archive/entry.ts';
import { byteString, bytesOf, type FileInfo } from './layer-tree.ts';

export interface FileDescription {
  /** From the image's root, without a leading slash; bytes that are no UTF-8 as `\xNN`, a backslash as `\\`. */
  readonly path: string;
  readonly type: Exclude<EntryType, 'hardlink'> | 'unknown';
  /** Four octal digits: `0755`, `4755`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 unless a file. */
  readonly size: number;
  /** `2026-01-02T03:04:05.000000006Z`. */
  readonly mtime: string;
  /** Names that the file has, when more than one. */
  readonly links?: number;
  /** Of a symbolic link. */
  readonly target?: string;
  /** `major:minor` of a device. */
  readonly device?: string;
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

export function describeFile(path: string, info: FileInfo | undefined): FileDescription {
  if (!info) return { path: showBytes(path), type: 'directory', mode: '0755', uid: 0, gid: 0, size: 0, mtime: EPOCH };
  const { entry, links } = info;
  // A hard link whose target is nowhere.
  const type = entry.type === 'hardlink' ? 'unknown' : entry.type;
  return {
    path: showBytes(path),
    type,
    mode: entry.mode.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: showTime(entry.mtime),
    ...(links > 1 ? { links } : {}),
    ...(type === 'symlink' ? { target: showBytes(byteString(entry.linkname)) } : {}),
    ...(type === 'char' || type === 'block' ? { device: `${entry.deviceMajor}:${entry.deviceMinor}` } : {}),
    ...(entry.xattrs.length > 0 ? { xattrs: showXattrs(entry.xattrs) } : {}),
  };
}

const EPOCH = '1970-01-01T00:00:00Z';
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// Names with escape sequences or changes of direction could fool who reads them on a terminal.
const TRICKY = /[\\\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const NOT_PLAIN = /[^ -[\]-~]/g;

/** A byte string as text that can be printed and turned back: control characters and stray bytes are escaped. */
export function showBytes(name: string): string {
  try {
    return UTF8.decode(bytesOf(name)).replace(TRICKY, (char) => escaped(Buffer.from(char)));
  } catch {
    return name.replace(NOT_PLAIN, (char) => escaped(bytesOf(char)));
  }
}

function escaped(bytes: Uint8Array): string {
  if (bytes[0] === 0x5c) return '\\\\';
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** What a user typed, or showBytes printed, as a byte string. */
export function readPath(text: string): string {
  const bytes = text.split(/(\\x[0-9a-fA-F]{2}|\\\\)/).map((part) => {
    if (part === '\\\\') return '\\';
    if (/^\\x[0-9a-fA-F]{2}$/.test(part)) return String.fromCharCode(Number.parseInt(part.slice(2), 16));
    return byteString(Buffer.from(part));
  });
  return bytes.join('');
}

/** Whole nanoseconds, trailing zeros left out in threes as ISO 8601 readers expect. */
export function showTime({ seconds, nanoseconds }: Timestamp): string {
  const date = new Date(seconds * 1000);
  const whole = Number.isNaN(date.getTime()) ? `@${seconds}` : date.toISOString().slice(0, -5);
  return nanoseconds === 0 ? `${whole}Z` : `${whole}.${nanoseconds.toString().padStart(9, '0')}Z`;
}

function showXattrs(xattrs: readonly Xattr[]): Record<string, string> {
  return Object.fromEntries(
    xattrs.map(({ name, value }) => [showBytes(byteString(name)), Buffer.from(value).toString('base64')]),
  );
}
