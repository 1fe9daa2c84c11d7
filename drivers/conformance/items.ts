/** Short spellings of layer items, for suites that are read. */
import type { EntryType, Segment, TarEntry, Timestamp } from '../../src/archive/entry.ts';
import type { LayerItem } from './encode.ts';

export interface Attributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Timestamp;
  /** Values as bytes or text. */
  readonly xattrs?: Readonly<Record<string, Uint8Array | string>>;
  readonly device?: readonly [major: number, minor: number];
  /** Of a sparse file, with its whole size; the content is then what the segments store. */
  readonly segments?: readonly Segment[];
  readonly size?: number;
}

type Path = string | Uint8Array;

/** A moment that no test makes by accident, with nanoseconds. */
const THEN: Timestamp = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };

export const dir = (path: Path, attributes: Attributes = {}): LayerItem =>
  item('directory', path, { mode: 0o755, ...attributes });

export const file = (path: Path, content: string | Uint8Array = '', attributes: Attributes = {}): LayerItem =>
  item('file', path, attributes, Buffer.from(content));

export const symlink = (path: Path, target: Path, attributes: Attributes = {}): LayerItem =>
  item('symlink', path, { mode: 0o777, ...attributes }, Buffer.alloc(0), target);

export const hardlink = (path: Path, target: Path): LayerItem => item('hardlink', path, {}, Buffer.alloc(0), target);

export const char = (path: Path, major: number, minor: number, attributes: Attributes = {}): LayerItem =>
  item('char', path, { ...attributes, device: [major, minor] });

export const block = (path: Path, major: number, minor: number, attributes: Attributes = {}): LayerItem =>
  item('block', path, { ...attributes, device: [major, minor] });

export const fifo = (path: Path, attributes: Attributes = {}): LayerItem => item('fifo', path, attributes);

export const whiteout = (path: Path): LayerItem => ({ kind: 'deleted', path: Buffer.from(path) });

export const opaque = (path: Path): LayerItem => ({ kind: 'opaque', path: Buffer.from(path) });

function item(
  type: EntryType,
  path: Path,
  attributes: Attributes,
  content = Buffer.alloc(0),
  target: Path = '',
): LayerItem {
  const xattrs = Object.entries(attributes.xattrs ?? {}).map(([name, value]) => ({
    name: Buffer.from(name, 'latin1'),
    value: Buffer.from(value),
  }));
  const entry: TarEntry = {
    type,
    path: Buffer.from(path),
    mode: attributes.mode ?? 0o644,
    uid: attributes.uid ?? 0,
    gid: attributes.gid ?? 0,
    mtime: attributes.mtime ?? THEN,
    size: attributes.size ?? content.length,
    linkname: Buffer.from(target),
    deviceMajor: attributes.device?.[0] ?? 0,
    deviceMinor: attributes.device?.[1] ?? 0,
    xattrs,
    ...(attributes.segments ? { segments: attributes.segments } : {}),
    dataOffset: 0,
    storedSize: content.length,
  };
  return { kind: 'added', entry, open: () => [content] };
}
