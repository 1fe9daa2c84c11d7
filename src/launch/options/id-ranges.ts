/** Which of the host's ids a container of `--userns auto` gets: no other container's, where there are enough. */
import { TslayerError } from '../../errors.ts';
import type { SubordinateRange } from './security.ts';

/** As many as images use: up to `nobody`. */
export const RANGE_SIZE = 65_536;

/**
 * The first range that is free. From ids that are enough for one range only, all take that one.
 * @param taken by other containers @throws LIMIT_EXCEEDED when all are taken
 */
export function takeRange(all: SubordinateRange, taken: readonly SubordinateRange[]): SubordinateRange {
  const size = Math.min(all.size, RANGE_SIZE);
  const count = Math.floor(all.size / RANGE_SIZE);
  for (let i = 0; i < Math.max(count, 1); i++) {
    const range = { uid: all.uid + i * size, gid: all.gid + i * size, size };
    if (count <= 1 || !taken.some((other) => overlap(range, other))) return range;
  }
  throw new TslayerError('LIMIT_EXCEEDED', `--userns auto: other containers have all ${count} ranges of ids`, {
    hint: 'remove some that have ended, or give more ids in /etc/subuid and /etc/subgid',
  });
}

function overlap(a: SubordinateRange, b: SubordinateRange): boolean {
  const meet = (one: number, other: number): boolean => one < other + b.size && other < one + a.size;
  return meet(a.uid, b.uid) || meet(a.gid, b.gid);
}

/** As `--userns` takes it. */
export function formatRange({ uid, gid, size }: SubordinateRange): string {
  return `${uid}:${gid}:${size}`;
}

/** Undefined for what is none, as `auto`. */
export function parseRange(text: string): SubordinateRange | undefined {
  const [, uid, gid, size] = /^(\d+):(\d+):(\d+)$/.exec(text) ?? [];
  return size === undefined ? undefined : { uid: Number(uid), gid: Number(gid), size: Number(size) };
}
