/**
 * What a test needs of its machine. `if (!requires(t, root, program('skopeo'))) return;` skips with the reason, so
 * that a plain user's run stays green and honest; where everything is installed a skip counts as a failure.
 */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { TestContext } from 'node:test';

/** Why the test cannot run here, or undefined when it can. */
export type Requirement = () => string | undefined;

/** Tests that are made from a list, and what all of them need. */
export interface Suite {
  readonly name: string;
  readonly needs?: readonly Requirement[];
}

/** Skips the test with the first reason found; false means that the test must return. */
export function requires(t: TestContext, ...requirements: readonly Requirement[]): boolean {
  const reason = missing(...requirements);
  if (reason !== undefined) t.skip(reason);
  return reason === undefined;
}

/** The first reason why something cannot run here; for suites that skip by themselves. */
export function missing(...requirements: readonly Requirement[]): string | undefined {
  for (const requirement of requirements) {
    const reason = requirement();
    if (reason !== undefined) return reason;
  }
  return undefined;
}

export const root: Requirement = () => (process.getuid?.() === 0 ? undefined : 'needs root');

/** An executable on PATH (or in sbin, which a user's PATH may lack). */
export function program(name: string): Requirement {
  return () => (programPath(name) === undefined ? `needs the program ${name}` : undefined);
}

export function programPath(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
}

/** A file-system type that the running kernel has, as in `/proc/filesystems`. */
export function kernelFs(type: string): Requirement {
  return () => {
    const known = readFileSync('/proc/filesystems', 'utf8').split(/\s+/);
    return known.includes(type) ? undefined : `needs a kernel with the file system ${type}`;
  };
}

/** A kernel at least this new: `kernel(6, 12)`. */
export function kernel(major: number, minor: number): Requirement {
  return () => {
    const [haveMajor = 0, haveMinor = 0] = release().split('.').map(Number);
    const enough = haveMajor > major || (haveMajor === major && haveMinor >= minor);
    return enough ? undefined : `needs Linux ${major}.${minor}, this is ${release()}`;
  };
}

/** Directory of the root file systems and programs that tests build images from. */
export const fixturesDirectory: string =
  process.env.TSLAYER_FIXTURES ?? resolve(import.meta.dirname, '../../../shared/fixtures');

/** Fixture files by name; no name asks for the directory alone. */
export function fixtures(...names: readonly string[]): Requirement {
  return () => {
    const missing = [fixturesDirectory, ...names.map((name) => join(fixturesDirectory, name))].find(
      (path) => !existsSync(path),
    );
    return missing === undefined ? undefined : `needs ${missing} (set TSLAYER_FIXTURES)`;
  };
}
