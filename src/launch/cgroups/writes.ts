/** Limits as data: which file of which subsystem gets which text. */
import type { Resources } from '../spec.ts';

export interface CgroupWrite {
  readonly subsystem: string;
  /** In the container's cgroup. Several names: the first that is there. */
  readonly files: readonly string[];
  readonly value: string;
  /** As the user knows it, for messages. */
  readonly what: string;
  /** Nobody asked for it: where it cannot be set, it is not. */
  readonly optional?: boolean;
}

export type Limits = Omit<Resources, 'devices'>;

export const write = (
  subsystem: string,
  files: string | readonly string[],
  value: unknown,
  what: string,
): CgroupWrite => ({
  subsystem,
  files: typeof files === 'string' ? [files] : files,
  value: String(value),
  what,
});

/** What `make` says for a value that is there. */
export function given<T>(value: T | undefined, make: (value: T) => readonly CgroupWrite[]): readonly CgroupWrite[] {
  return value === undefined ? [] : make(value);
}
