/** Mounts as data: drivers emit them, the mounter (or the launcher, in its own namespace) performs them in order. */

export interface Mount {
  /** File-system type: `overlay`, `erofs`, `aufs`, or `bind`. */
  readonly type: string;
  /** What is mounted: a file, a directory (bind), or a name for those without a source. Absolute. */
  readonly source: string;
  /** `key=value` or bare flags, in order. `lowerdir+=PATH` comes once a layer, top first. */
  readonly options: readonly string[];
  /**
   * Absent: this mount goes where the caller asked. Present: a mount that only others of the same list use, as in
   * an image file under an overlay. Later options name it as `stage:NAME`. The mounter chooses where it lives and
   * takes it away with the last mount that uses it; two lists that name one stage mean the same mount.
   */
  readonly stage?: string;
}
