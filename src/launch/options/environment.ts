/** Environment variables: the image's and the caller's. */
import { TslayerError } from '../../errors.ts';

/** Later entries win; the order of first appearance is kept. */
export function mergeEnvironment(...lists: readonly (readonly string[])[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of lists.flat()) {
    const at = entry.indexOf('=');
    if (at <= 0) throw new TslayerError('INVALID_ARGUMENT', `the variable ${JSON.stringify(entry)} is not KEY=VALUE`);
    merged.set(entry.slice(0, at), entry);
  }
  return [...merged.values()];
}
