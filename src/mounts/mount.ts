/** Mounts as data: drivers emit them, the mounter (or the launcher, in its own namespace) performs them in order. */

export interface Mount {
  /** File-system type: `overlay`, `erofs`, `aufs`, or `bind`. */
  readonly type: string;
  /** What is mounted: a file, a directory (bind), or a name for those without a source. Absolute. */
  readonly source: string;
  /**
   * `key=value` or bare flags, in order; paths stand as they are, the mounter escapes what a kernel wants escaped.
   * `lowerdir+=PATH` comes once a layer, top first. The mounter's own:
   * - `ro`, `rw`, `nosuid`, `nodev`, `noexec`, `noatime`: of this mount, not of the file system behind it;
   * - `rbind`: a bind mount with the mounts below it;
   * - `idmap=PATH`: owners are shifted by the user namespace at PATH (`/proc/self/fd/7`, `/proc/123/ns/user`);
   * - `remount`: changes the mount that an earlier one of the list made, as AUFS takes long branch lists;
   * - `source=` is never an option.
   */
  readonly options: readonly string[];
  /**
   * Absent: this mount goes where the caller asked. Present: a mount that only others of the same list use, as in
   * an image file under an overlay. Later options name it as `stage:NAME` or `stage:NAME/below/it`. The mounter
   * chooses where it lives and takes it away with the last mount that uses it; two lists that name one stage mean
   * the same mount. Names are `[0-9a-zA-Z._-]+`.
   */
  readonly stage?: string;
  /** Lock file that is held while the list is performed: AUFS takes no two mounts at a time. */
  readonly lock?: string;
}
