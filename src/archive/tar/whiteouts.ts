/**
 * What a name that begins with `.wh.` means. OCI Image Specification, layer.md "Whiteouts"; the `.wh..wh.` names
 * are AUFS's own bookkeeping, and mean nothing in an image except the opaque marker.
 */
import { TslayerError } from '../../errors.ts';
import { quote } from './bytes.ts';
import type { PathCleaner } from './paths.ts';

export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_NAME = '.wh..wh..opq';
const OPAQUE_BYTES = Buffer.from(OPAQUE_NAME);
const META_BYTES = Buffer.from('.wh..wh.');

/** `hides` and `opaque` carry the path they speak of; `ignored` is AUFS's bookkeeping and what lies in it. */
type Whiteout =
  | { readonly kind: 'hides' | 'opaque'; readonly length: number }
  | { readonly kind: 'ignored'; readonly length: 0 };

const IGNORED: Whiteout = { kind: 'ignored', length: 0 };

/**
 * Classifies a path that has a `.wh.` component, and rewrites it in place to the path it speaks of, `length` long.
 * A whiteout of nothing, of `.` or `..`, and a directory that bears a whiteout's name are refused: applied
 * literally, they delete the parent or its siblings.
 */
export function classifyWhiteout(path: PathCleaner): Whiteout {
  const { bytes, length, whiteoutAt, baseAt } = path;
  const first = bytes.subarray(whiteoutAt, length);
  if (whiteoutAt === baseAt && first.length === OPAQUE_BYTES.length && OPAQUE_BYTES.equals(first)) {
    return { kind: 'opaque', length: Math.max(0, baseAt - 1) };
  }
  if (META_BYTES.compare(first, 0, Math.min(first.length, META_BYTES.length)) === 0) return IGNORED;
  const hidden = bytes.subarray(baseAt + WHITEOUT_PREFIX.length, length);
  if (whiteoutAt !== baseAt || isNoName(hidden)) {
    throw new TslayerError('UNSAFE_LAYER', `tar: ${quote(bytes.subarray(0, length))} is no proper whiteout`);
  }
  bytes.copyWithin(baseAt, baseAt + WHITEOUT_PREFIX.length, length);
  return { kind: 'hides', length: length - WHITEOUT_PREFIX.length };
}

/** The empty name, `.` and `..`. */
function isNoName(name: Uint8Array): boolean {
  return name.length === 0 || (name.length <= 2 && name.every((byte) => byte === 0x2e));
}
