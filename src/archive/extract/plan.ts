/** How a layer is extracted to a directory, as data. */
import { moduleUrl } from '../../sys/module-url.ts';
import type { SinkPlan } from '../sink.ts';

interface Common {
  /** The directory to extract to; it exists. Absolute. */
  readonly dir: string;
  /** Whether `finish` waits until all is on disk: one syncfs(2). */
  readonly durable: boolean;
}

/**
 * How whiteouts are spelt in the directory.
 * `overlay`: character devices 0:0 and `trusted.overlay.opaque` (`user.overlay.…` with `userxattr`).
 * `aufs`: files `.wh.NAME`, and `.wh..wh.opaque` in an opaque directory.
 * `apply`: not at all; the directory holds the lower layers' files, the layer is put over them (merge.ts), and what
 * is hidden is deleted.
 */
export type ExtractOptions =
  | (Common & { readonly spelling: 'overlay'; readonly userxattr?: boolean })
  | (Common & { readonly spelling: 'aufs' | 'apply' });

/**
 * The plan of a sink that creates the layer's files. The root's opaque mark is left on the root itself, in the
 * spelling's way, although no union file system looks for it there: the driver has to cut its stack at the layer.
 */
export function extractionPlan(options: ExtractOptions): SinkPlan {
  return { module: moduleUrl('./sink', import.meta.url).href, options, ownThread: true };
}
