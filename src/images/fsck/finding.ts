/** What a check finds, and how it could be put right. */
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import type { PullSource } from '../pull/source.ts';

export type FindingKind =
  | 'database' // SQLite's own check, or rows that contradict each other
  | 'layout' // oci-layout or index.json
  | 'blob' // missing, cut short, altered
  | 'image' // names something that is not complete
  | 'layer' // unpacked layer missing or altered
  | 'cache' // what the driver made of a whole stack
  | 'snapshot' // a writable snapshot without its directory
  | 'mount' // recorded and not there, or there and not recorded
  | 'leftover'; // on the disk, known to no row

export interface Finding {
  readonly kind: FindingKind;
  /** A digest, an id, a name or a path. */
  readonly subject: string;
  /** What is wrong, in one line. */
  readonly message: string;
  /** Puts it right and says what was done. Absent: nothing can be done here. May throw: then it stays. */
  repair?(): Promise<string>;
}

export interface CheckOptions extends OperationOptions {
  /** Also read every blob and layer, not only look whether they are there. */
  readonly deep: boolean;
  /** Where an image can be fetched again; undefined when its name leads nowhere. */
  readonly sourceOf: (imageName: string) => Promise<PullSource | undefined>;
}

export type Check = (context: StoreContext, options: CheckOptions) => AsyncIterable<Finding>;
