/**
 * Directories that a layer implies and does not name: `usr/bin/new` without an entry for `usr/bin`, and most often
 * the root. They ought to look as a layer below says, which a layer that is unpacked by itself cannot know; so their
 * paths are kept beside its files, each ended by a NUL, the root's being empty.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SinkResult } from '../../src/archive/sink.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { syncDirectory } from '../../src/sys/sync-directory.ts';

const IMPLIED = 'implied';
const NUL = Buffer.of(0);

/**
 * @param layer the layer's directory
 * @param durable whether the note is on the disk in the end: it is written after the files, which were synced at once
 */
export function noteImplied(layer: string, { rootEntry, implied = [] }: SinkResult, durable: boolean): void {
  const paths = rootEntry ? implied : [Buffer.alloc(0), ...implied];
  if (paths.length === 0) return;
  const note = Buffer.concat(paths.flatMap((path) => [path, NUL]));
  writeFileSync(join(layer, IMPLIED), note, { mode: 0o600, flush: durable });
  if (durable) syncDirectory(layer);
}

/** As Latin-1, one character a byte; '' is the root. */
export function readImplied(layer: string): ReadonlySet<string> {
  try {
    return new Set(readFileSync(join(layer, IMPLIED), 'latin1').split('\0').slice(0, -1));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return new Set();
    throw error;
  }
}
