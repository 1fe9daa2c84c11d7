/** Mount options as mount(8) and the OCI Runtime Specification spell them, as the kernel's flags and data. */
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
} from '../../sys/mount-api.ts';

const MS_NOATIME = 1024;
const MS_STRICTATIME = 1 << 24;

/** Word → flag of mount(2) and, where a bind mount can have it, attribute of mount_setattr(2). */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  ro: [MS_RDONLY, MOUNT_ATTR_RDONLY],
  nosuid: [MS_NOSUID, MOUNT_ATTR_NOSUID],
  nodev: [MS_NODEV, MOUNT_ATTR_NODEV],
  noexec: [MS_NOEXEC, MOUNT_ATTR_NOEXEC],
  noatime: [MS_NOATIME, MOUNT_ATTR_NOATIME],
  strictatime: [MS_STRICTATIME, 0],
  rw: [0, 0],
  suid: [0, 0],
  dev: [0, 0],
  exec: [0, 0],
  relatime: [0, 0],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_REC,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_REC,
};

export interface ParsedMountOptions {
  /** MS_* for mount(2). */
  readonly flags: number;
  /** MOUNT_ATTR_* for mount_setattr(2). */
  readonly attributes: number;
  readonly recursive: boolean;
  /** MS_PRIVATE, MS_SLAVE or MS_SHARED, perhaps with MS_REC; 0 when nothing is said. */
  readonly propagation: number;
  /** What the file system itself reads, comma-separated. */
  readonly data: string;
}

export function parseMountOptions(options: readonly string[]): ParsedMountOptions {
  let [flags, attributes, propagation] = [0, 0, 0];
  let recursive = false;
  const data: string[] = [];
  for (const option of options) {
    const flag = FLAGS[option];
    if (flag) {
      flags |= flag[0];
      attributes |= flag[1];
    } else if (option in PROPAGATION) propagation = PROPAGATION[option]!;
    else if (option === 'rbind') recursive = true;
    else if (option !== 'bind' && option !== 'idmap') data.push(option);
  }
  return { flags, attributes, recursive, propagation, data: data.join(',') };
}
