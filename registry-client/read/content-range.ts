/** Whether an answer to a range request is what was asked for. RFC 9110, 14.4 and 15.3.7. */
import { RegistryError } from '../errors.ts';
import type { HttpResponse } from '../transport/exchange.ts';

/**
 * How many bytes of the body come before the wanted one: none in a 206, `start` in a 200, which is the whole blob.
 * Throws when the server's idea of the blob differs from the descriptor's, before a byte is read.
 * @param end the byte after the last one that was asked for
 */
export function bytesToSkip(response: HttpResponse, start: number, end: number, size: number, what: string): number {
  const length = response.header('content-length');
  if (response.status === 206) {
    checkContentRange(response.header('content-range'), start, end, size, what);
    checkLength(length, end - start, what);
    return 0;
  }
  checkLength(length, size, what);
  return start;
}

function checkContentRange(header: string | undefined, start: number, end: number, size: number, what: string): void {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(header?.trim() ?? '');
  const [, first, last, total] = match ?? [];
  const agrees = Number(first) === start && Number(last) === end - 1 && (total === '*' || Number(total) === size);
  if (agrees) return;
  // An off-by-one here would shift every byte that follows: never trust, never repair.
  throw new RegistryError(
    'SIZE_MISMATCH',
    `${what}: asked for bytes ${start}-${end - 1}/${size}, was promised ${shown(header)}`,
  );
}

function checkLength(header: string | undefined, expected: number, what: string): void {
  if (header === undefined || Number(header) === expected) return;
  throw new RegistryError('SIZE_MISMATCH', `${what}: expected ${expected} bytes, was promised ${shown(header)}`);
}

function shown(header: string | undefined): string {
  return header === undefined ? 'nothing' : JSON.stringify(header.slice(0, 80));
}
