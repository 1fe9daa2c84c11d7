/** What each layer of a stack brings, and what it hides of those below: the bytes that an image carries for nothing. */
import { showBytes } from './file-description.ts';
import { byteString, type LayerNode, type LayerTree } from './layer-tree.ts';
import { type MergedNode, mergeLayers } from './merged-tree.ts';

export interface LayerContent {
  /** Files of the layer itself (links to one file count once), and their bytes. */
  readonly files: number;
  readonly directories: number;
  /** Links, devices and FIFOs. */
  readonly others: number;
  readonly bytes: number;
  readonly whiteouts: number;
  readonly opaques: number;
  /** Files of lower layers that this one removes or replaces. */
  readonly hides: { readonly files: number; readonly bytes: number };
  /** Files of this layer that a higher one removes or replaces. */
  readonly wasted: { readonly files: number; readonly bytes: number };
  /** The largest wasted ones. */
  readonly largestWasted: readonly WastedFile[];
}

export interface WastedFile {
  readonly path: string;
  readonly bytes: number;
  /** Number of the layer that hides it, from the base, 0. */
  readonly hiddenBy: number;
}

const LARGEST = 10;

/** Base first, one for each layer. */
export function reportLayers(layers: readonly LayerTree[]): LayerContent[] {
  const hides = layers.map(() => ({ files: 0, bytes: 0 }));
  const wasted = layers.map(() => ({ files: 0, bytes: 0 }));
  const lists = layers.map((): WastedFile[] => []);
  mergeLayers(layers, (node, by) => {
    if (node.info?.entry.type !== 'file' || !isLastName(node)) return;
    const { size: bytes, path } = node.info.entry;
    for (const sum of [hides[by], wasted[node.layer]]) {
      if (!sum) continue;
      sum.files++;
      sum.bytes += bytes;
    }
    lists[node.layer]?.push({ path: showBytes(byteString(path)), bytes, hiddenBy: by });
  });
  return layers.map((layer, i) => ({
    ...countLayer(layer),
    hides: hides[i] ?? { files: 0, bytes: 0 },
    wasted: wasted[i] ?? { files: 0, bytes: 0 },
    largestWasted: (lists[i] ?? []).sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST),
  }));
}

/** A hard-linked file is wasted when its last name goes. */
const hiddenNames: WeakMap<object, number> = new WeakMap();

function isLastName({ info }: MergedNode): boolean {
  if (!info || info.links <= 1) return true;
  const hidden = (hiddenNames.get(info) ?? 0) + 1;
  hiddenNames.set(info, hidden);
  return hidden === info.links;
}

type Counts = Pick<LayerContent, 'files' | 'directories' | 'others' | 'bytes' | 'whiteouts' | 'opaques'>;

function countLayer(layer: LayerTree): Counts {
  const counts = { files: 0, directories: 0, others: 0, bytes: 0, whiteouts: 0, opaques: 0 };
  const seen = new Set<object>();
  const count = (node: LayerNode): void => {
    if (node.whiteout) counts.whiteouts++;
    if (node.opaque) counts.opaques++;
    const { info } = node;
    if (info && !seen.has(info)) {
      if (info.links > 1) seen.add(info);
      if (info.entry.type === 'file') {
        counts.files++;
        counts.bytes += info.entry.size;
      } else if (info.entry.type === 'directory') counts.directories++;
      else counts.others++;
    }
    for (const child of node.children?.values() ?? []) count(child);
  };
  count(layer.root);
  return counts;
}
