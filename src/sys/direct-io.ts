/** Direct I/O: how finely a file's bytes can be read past the page cache. statx(2), STATX_DIOALIGN, Linux 6.1. */
import { check, cstring, native } from './libc.ts';

const cStatx = native('int', 'statx', ['int', 'path', 'int', 'uint', 'bytes']);
const AT_EMPTY_PATH = 0x1000;
const STATX_DIOALIGN = 0x2000;
const MASK_AT = 0;
const OFFSET_ALIGN_AT = 156;

/** Bytes to which offset and length of a direct read must be aligned; undefined where there is none, or none is known. */
export function directIoAlignment(fd: number): number | undefined {
  const stat = Buffer.alloc(256);
  check(cStatx(fd, cstring(''), AT_EMPTY_PATH, STATX_DIOALIGN, stat), 'statx');
  const alignment = stat.readUInt32LE(OFFSET_ALIGN_AT);
  return (stat.readUInt32LE(MASK_AT) & STATX_DIOALIGN) === 0 || alignment === 0 ? undefined : alignment;
}
