/**
 * What tslayer writes into the first bytes of an image, which EROFS leaves to others: where the raw tar lies (so
 * that it can be had back byte for byte), and what a stack needs to know of the layer without mounting it.
 *
 *     0  "tslayer\0"   8  u32 version   12  u32 flags   16  u64 length of the tar, which begins at 4096
 *     24  sha256 of the metadata area, to the end of the file
 *     56  sha256 of what was copied between tar and metadata (copied-data.ts)   88  u32 crc32c of all this
 */
import { TslayerError } from '../../../src/errors.ts';
import { crc32c } from './crc32c.ts';

/** Bytes of the note. */
export const NOTE_SIZE = 96;

const MAGIC = Buffer.from('tslayer\0');
const VERSION = 1;
const DIGEST_AT = 24;
const COPIED_AT = 56;
const CHECKSUM_AT = 88;

const OPAQUE_ROOT = 1;
const IMPLICIT_ROOT = 2;
const IMPLICIT_DIRECTORIES = 4;

export interface LayerNote {
  /** Bytes of the raw tar. */
  readonly tarLength: number;
  /** sha256 of the metadata area, which reaches to the end of the file. */
  readonly metadataDigest: Uint8Array;
  /** Of what lies between the tar and the metadata; zeros where nothing does. */
  readonly copiedDigest: Uint8Array;
  /** The layer hides all that lies below it. */
  readonly opaqueRoot: boolean;
  /** The tar says nothing of the root: its attributes are those of the layers below. */
  readonly implicitRoot: boolean;
  /** So it is with a directory below the root. */
  readonly implicitDirectories: boolean;
}

export function writeNote(head: Uint8Array, note: LayerNote): void {
  const view = new DataView(head.buffer, head.byteOffset);
  head.set(MAGIC);
  view.setUint32(8, VERSION, true);
  const flags =
    (note.opaqueRoot ? OPAQUE_ROOT : 0) |
    (note.implicitRoot ? IMPLICIT_ROOT : 0) |
    (note.implicitDirectories ? IMPLICIT_DIRECTORIES : 0);
  view.setUint32(12, flags, true);
  view.setBigUint64(16, BigInt(note.tarLength), true);
  head.set(note.metadataDigest.subarray(0, 32), DIGEST_AT);
  head.set(note.copiedDigest.subarray(0, 32), COPIED_AT);
  view.setUint32(CHECKSUM_AT, checksum(head), true);
}

function checksum(head: Uint8Array): number {
  return crc32c(0xffffffff, head.subarray(0, CHECKSUM_AT));
}

export function readNote(head: Uint8Array): LayerNote {
  const view = new DataView(head.buffer, head.byteOffset);
  if (MAGIC.compare(head, 0, MAGIC.length) !== 0 || view.getUint32(8, true) !== VERSION) {
    throw new TslayerError('MALFORMED', 'not a layer that tslayer wrote');
  }
  if (view.getUint32(CHECKSUM_AT, true) !== checksum(head)) {
    throw new TslayerError('MALFORMED', 'the head of the layer is damaged');
  }
  const flags = view.getUint32(12, true);
  return {
    tarLength: Number(view.getBigUint64(16, true)),
    metadataDigest: head.slice(DIGEST_AT, DIGEST_AT + 32),
    copiedDigest: head.slice(COPIED_AT, COPIED_AT + 32),
    opaqueRoot: (flags & OPAQUE_ROOT) !== 0,
    implicitRoot: (flags & IMPLICIT_ROOT) !== 0,
    implicitDirectories: (flags & IMPLICIT_DIRECTORIES) !== 0,
  };
}
