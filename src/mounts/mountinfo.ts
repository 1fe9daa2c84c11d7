/** What is mounted: /proc/PID/mountinfo, proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs';

export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  /** Of this mount: `rw`, `nosuid`, … */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, … */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the file system. Values are unescaped; a comma inside a value stays in one piece. */
  readonly superOptions: readonly string[];
}

/** The mounts of a process's namespace, in the kernel's order: a later one may cover an earlier one. */
export function readMountInfo(pid: number | 'self' | 'thread-self' = 'thread-self'): MountInfo[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`));
}

export function parseMountInfo(text: Uint8Array): MountInfo[] {
  // Latin-1 keeps one character a byte, so that unescaping works on bytes; names become UTF-8 at the end.
  const lines = Buffer.from(text).toString('latin1').split('\n');
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const field = (index: number): string => unescapeField(fields[index] ?? '');
  return {
    id: Number(fields[0]),
    parentId: Number(fields[1]),
    device: field(2),
    root: field(3),
    mountPoint: field(4),
    options: field(5).split(','),
    propagation: fields.slice(6, separator),
    type: field(separator + 1),
    source: field(separator + 2),
    superOptions: (fields[separator + 3] ?? '').split(',').map(unescapeField),
  };
}

/** The kernel writes space, tab, newline, backslash (and the comma in options) as three octal digits. */
export function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** The topmost mount exactly at `path` (absolute, without links), if there is one. */
export function findMount(path: string, mounts: readonly MountInfo[] = readMountInfo()): MountInfo | undefined {
  return mounts.findLast((mount) => mount.mountPoint === path);
}
