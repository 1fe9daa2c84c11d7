/** What an entry must be like before it gets into an image: the kernel checks none of it. */
import type { TarEntry } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import { NAME_MAX } from '../format/layout.ts';
import { printable } from './resolve.ts';

/** The kernel trusts names in an image: 1 to 255 bytes, without NUL or slash, and neither `.` nor `..`. */
export function checkName(path: Uint8Array, start: number, end: number): void {
  const length = end - start;
  const name = () => printable(path.subarray(start, end));
  if (length > NAME_MAX) throw new TslayerError('MALFORMED', `a name over 255 bytes: ${name()}`);
  if (length === 0) throw new TslayerError('MALFORMED', `${printable(path)}: an empty name`);
  for (let i = start; i < end; i++) {
    if (path[i] === 0 || path[i] === 0x2f) throw new TslayerError('UNSAFE_LAYER', `bad name ${name()}`);
  }
  if (path[start] === 0x2e && (length === 1 || (length === 2 && path[start + 1] === 0x2e))) {
    throw new TslayerError('UNSAFE_LAYER', `bad name ${name()}`);
  }
}

export function checkIds({ uid, gid, mtime, path }: TarEntry): void {
  // (uid_t)-1 means "leave it" to chown(2) and "nobody" to the kernel.
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < 0xffffffff;
  if (!isId(uid) || !isId(gid)) throw new TslayerError('MALFORMED', `${printable(path)}: owner out of range`);
  if (!Number.isSafeInteger(mtime.seconds)) throw new TslayerError('MALFORMED', `${printable(path)}: bad time`);
}
