/** The history of images that others are made of. OCI Image Specification config.md "history". */
import type { HistoryEntry } from '../oci/config.ts';
import type { StoredImage } from './image-layers.ts';

/**
 * With an entry for each layer: builders may leave the history out, and readers match entries and layers by their
 * order, so that the first entry added to such an image would be taken for its lowest layer's.
 */
export function historyOf({ config, layers }: StoredImage): readonly HistoryEntry[] {
  const recorded = config.history.filter((entry) => !entry.empty_layer).length;
  const missing = Array.from({ length: Math.max(0, layers.length - recorded) }, () => ({ comment: 'not recorded' }));
  return [...missing, ...config.history];
}

/** The history up to the last layer that is kept. */
export function keptHistory(history: readonly HistoryEntry[], keep: number): HistoryEntry[] {
  let layers = 0;
  const end = history.findIndex((entry) => !entry.empty_layer && ++layers > keep);
  return history.slice(0, end === -1 ? history.length : end);
}
