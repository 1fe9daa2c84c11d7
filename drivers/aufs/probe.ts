/** Whether AUFS works for a store: mounted where the store is, and used. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { asTslayerError } from '../../src/errors.ts';
import { findUnion } from '../../src/mounts/aufs-unions.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { detachBelow, unmount } from '../../src/mounts/unmount.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import type { Probe } from '../driver.ts';
import { aufsPlaces } from './places.ts';
import { aufsMounts, canBeBranch, MAX_BRANCHES } from './plan.ts';

/** statfs(2)'s magic numbers of file systems that no branch may lie on. */
const REFUSED: Readonly<Record<number, string>> = {
  1635083891: 'AUFS',
  2035054128: 'overlayfs',
  61791: 'eCryptfs',
  2435016766: 'btrfs (Docker never supported it below AUFS either)',
};

export async function probeAufs(directory: string): Promise<Probe> {
  const reason = refusal(directory);
  if (reason !== undefined) return { available: false, reason, features: {} };
  let temporary: string | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const refused = REFUSED[statfsSync(directory).type];
    if (refused !== undefined) return { available: false, reason: `${directory} lies on ${refused}`, features: {} };
    temporary = mkdtempSync(join(realpathSync(directory), '.probe-'));
    const problem = tryAufs(temporary);
    if (problem !== undefined) return { available: false, reason: problem, features: {} };
    const features = { ...optionsHere(directory), 'maximum branches': MAX_BRANCHES, version: version() };
    return { available: true, reason: 'the kernel merges branches here', features };
  } catch (error) {
    return { available: false, reason: asTslayerError(error).message, features: {} };
  } finally {
    if (temporary !== undefined) {
      detachBelow(temporary);
      rmSync(temporary, { recursive: true, force: true });
    }
  }
}

/** What is known without trying. */
function refusal(directory: string): string | undefined {
  if (!/\baufs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) {
    return 'the kernel has no AUFS (a module that few distributions still build; modprobe aufs loads it)';
  }
  if (process.getuid?.() !== 0) return 'mounting needs root';
  if (inUserNamespace()) return 'AUFS cannot be mounted in a user namespace';
  return canBeBranch(directory) ? undefined : `AUFS cannot mount ${JSON.stringify(directory)}: it holds one of : , =`;
}

function inUserNamespace(): boolean {
  return readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ') !== '0 0 4294967295';
}

/** Deletes a file of a lower branch and looks for its whiteout; says what is wrong. */
function tryAufs(directory: string): string | undefined {
  const [upper, lower, target] = makeTrial(directory);
  mountTrial(directory, [upper, lower, target], NO_OPTIONS);
  if (!findUnion(({ path, writable }) => writable && path === upper)) {
    return 'AUFS does not list its branches in sysfs (its module parameter brs is 0), so nobody knows what it uses';
  }
  unlinkSync(join(target, 'file'));
  const found = existsSync(join(target, 'file')) ? 'the file is still there' : undefined;
  unmount(target);
  return found ?? (readdirSync(upper).includes('.wh.file') ? undefined : 'a deleted file leaves no whiteout');
}

type Trial = readonly [upper: string, lower: string, target: string];

function makeTrial(directory: string): Trial {
  const [upper, lower, target] = ['upper', 'lower', 'target'].map((name) => join(directory, name));
  for (const path of [upper!, lower!, target!]) mkdirSync(path, { recursive: true });
  writeFileSync(join(lower!, 'file'), '');
  return [upper!, lower!, target!];
}

function mountTrial(directory: string, [upper, lower, target]: Trial, options: OptionalOptions): void {
  const { lock, xino } = aufsPlaces(directory);
  const plan = { writable: upper, layers: [lower], ...options, ignoreXattrErrors: false, lock };
  performMounts(aufsMounts({ ...plan, xino: xino(`probe-${process.pid}`) }), target);
}

/** Options that not every AUFS knows, by plan.ts' names. */
export interface OptionalOptions {
  readonly acl: boolean;
  readonly dirperm1: boolean;
}

const NO_OPTIONS: OptionalOptions = { acl: false, dirperm1: false };

/** Found by trying: most often all at once. */
export function optionsHere(directory: string): OptionalOptions {
  const all = { acl: true, dirperm1: true };
  if (takes(directory, all)) return all;
  return {
    acl: takes(directory, { ...NO_OPTIONS, acl: true }),
    dirperm1: takes(directory, { ...NO_OPTIONS, dirperm1: true }),
  };
}

/** An option that the module does not know gives EINVAL. */
function takes(directory: string, options: OptionalOptions): boolean {
  const temporary = mkdtempSync(join(directory, '.probe-'));
  try {
    const trial = makeTrial(temporary);
    mountTrial(temporary, trial, options);
    unmount(trial[2]);
    return true;
  } catch (error) {
    if (error instanceof Error && hasErrno(error.cause, 'EINVAL')) return false;
    throw error;
  } finally {
    detachBelow(temporary);
    rmSync(temporary, { recursive: true, force: true });
  }
}

function version(): string {
  try {
    return readFileSync('/sys/module/aufs/version', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
