/**
 * Snapshots: named file-system states over a driver, with containerd's states and rules. *Committed* snapshots are
 * immutable and may be parents; *active* ones are written to; *views* are read-only. A key names an active
 * snapshot or a view, a chainID a committed layer stack. What has children cannot be removed.
 */
import type { Usage } from '../../drivers/driver.ts';
import type { Mount } from '../mounts/mount.ts';
import type { ChainID } from '../oci/digest.ts';

export type SnapshotKind = 'active' | 'view' | 'committed';

export interface SnapshotInfo {
  /** `chainID` of a committed layer, the chosen name of the others. */
  readonly key: string;
  readonly kind: SnapshotKind;
  readonly parent: ChainID | undefined;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export interface SnapshotStore {
  stat(key: string): SnapshotInfo | undefined;
  usage(key: string): Promise<Usage>;
  mounts(key: string): Promise<readonly Mount[]>;
  /** Makes an active snapshot. ALREADY_EXISTS when the key is taken, NOT_FOUND when the parent is not there. */
  prepare(key: string, parent: ChainID | undefined, labels?: Readonly<Record<string, string>>): Promise<SnapshotInfo>;
  view(key: string, parent: ChainID | undefined, labels?: Readonly<Record<string, string>>): Promise<SnapshotInfo>;
  /** IN_USE when it has children or is mounted. */
  remove(key: string): Promise<void>;
  walk(): Iterable<SnapshotInfo>;
}
