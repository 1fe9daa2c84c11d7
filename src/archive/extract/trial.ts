/**
 * Makes one entry as extraction does, without its content: what the file system at hand makes of its attributes. It
 * may hold no times before 1901 or no xattrs, and an ACL changes the mode.
 */
import { closeFd } from '../../sys/libc.ts';
import { createFile, makeDirectory, setFileTimes, setMode } from '../../sys/make-files.ts';
import type { TarEntry } from '../entry.ts';
import { finishPath, isDefaultAcl, must } from './attributes.ts';
import { LateAttributes } from './late.ts';
import { OpenFile } from './open-file.ts';
import { makeSpecial } from './special.ts';
import { Warnings } from './warnings.ts';

/** @param path absolute, of nothing that is there */
export function makeTrial(path: Uint8Array, entry: TarEntry): void {
  if (entry.type === 'file') makeFile(path, entry);
  else if (entry.type === 'directory') makeTrialDirectory(path, entry);
  else makeOther(path, entry);
}

function makeOther(path: Uint8Array, entry: TarEntry): void {
  must(makeSpecial({ ...entry, path }), 'make', path);
  if (entry.type !== 'symlink') withoutUmask(path, entry.mode);
  finishPath(path, entry, entry.xattrs, new Warnings());
  must(setFileTimes(path, entry.mtime, entry.mtime), 'set the time of', path);
}

function makeFile(path: Uint8Array, entry: TarEntry): void {
  const fd = must(createFile(path, entry.mode), 'create', path);
  try {
    withoutUmask(path, entry.mode);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  const { segments: _, ...dense } = entry;
  new OpenFile(fd, { ...dense, storedSize: 0 }).finish(new Warnings());
}

function makeTrialDirectory(path: Uint8Array, entry: TarEntry): void {
  const warnings = new Warnings();
  must(makeDirectory(path, 0o700), 'make the directory', path);
  withoutUmask(path, entry.mode & 0o1777);
  finishPath(
    path,
    entry,
    entry.xattrs.filter((xattr) => !isDefaultAcl(xattr)),
    warnings,
  );
  const late = new LateAttributes(warnings);
  late.add({ ...entry, path });
  late.apply();
  must(setFileTimes(path, entry.mtime, entry.mtime), 'set the time of', path);
}

/** Extraction has a thread whose umask is 0. */
function withoutUmask(path: Uint8Array, mode: number): void {
  must(setMode(path, mode), 'chmod', path);
}
