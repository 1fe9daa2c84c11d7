/** What can be wrong with compressed bytes, in one voice for both engines. */
import { TslayerError } from '../../errors.ts';
import type { Compression } from './compression.ts';

/**
 * Largest zstd window taken, as a power of two: 128 MiB, what `zstd -d` takes by default. A frame's header is
 * enough to make a decoder allocate its window.
 */
export const MAX_WINDOW_LOG = 27;

export function inflateError(compression: Compression, message: string, code: string): TslayerError {
  const text = `layer: ${compression}: ${message}`;
  if (code === 'ZSTD_error_frameParameter_windowTooLarge') return new TslayerError('LIMIT_EXCEEDED', text);
  return new TslayerError(code === 'Z_MEM_ERROR' ? 'FAILED' : 'MALFORMED', text);
}

export function cutShort(compression: Compression): TslayerError {
  return new TslayerError('MALFORMED', `layer: ${compression}: unexpected end of file`);
}

export function trailingGarbage(compression: Compression): TslayerError {
  return new TslayerError('MALFORMED', `layer: ${compression}: bytes behind the end`);
}
