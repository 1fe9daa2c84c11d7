/**
 * `fsck`: holds the rows against the disk, the disk against digests, and mounts against the kernel. With repair,
 * what is damaged is fetched or unpacked again, what belongs to nobody goes, and what is good is not touched.
 */
import { asTslayerError, throwIfAborted } from '../../errors.ts';
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import type { PullSource } from '../pull/source.ts';
import { sweepCrashed } from '../sweep.ts';
import { checkBlobs } from './blobs.ts';
import { checkDatabase } from './database.ts';
import type { Check, FindingKind } from './finding.ts';
import { checkImages } from './images.ts';
import { checkCaches, checkLayers } from './layers.ts';
import { checkLayout } from './layout.ts';
import { checkLeftovers } from './leftovers.ts';
import { checkMounts } from './mounts.ts';

export interface FsckOptions extends OperationOptions {
  /** Put right what can be. */
  readonly repair?: boolean | undefined;
  /** Look whether things are there, without reading them. */
  readonly quick?: boolean | undefined;
  /** For fetching again what is damaged. Default: nothing is fetched. */
  readonly sourceOf?: ((imageName: string) => Promise<PullSource | undefined>) | undefined;
}

export interface Problem {
  readonly kind: FindingKind;
  readonly subject: string;
  readonly message: string;
  /** `found` in a run without repair or where nothing can be done; `failed` when the repair did. */
  readonly state: 'found' | 'repaired' | 'failed';
  /** What was done, or why it could not be. */
  readonly action: string | null;
}

export interface FsckReport {
  readonly problems: readonly Problem[];
  /** Whether nothing is wrong, or nothing is wrong any more. */
  readonly clean: boolean;
}

/** Blobs before the images and layers that are made of them; the layout last, since it shows the names that are left. */
const CHECKS: readonly Check[] = [
  checkDatabase,
  checkBlobs,
  checkImages,
  checkLayers,
  checkCaches,
  checkMounts,
  checkLeftovers,
  checkLayout,
];

export async function checkStore(context: StoreContext, options: FsckOptions = {}): Promise<FsckReport> {
  const { repair = false, quick = false, sourceOf = async () => undefined } = options;
  if (repair) await sweepCrashed(context);
  const problems: Problem[] = [];
  for (const check of CHECKS) {
    for await (const finding of check(context, { ...options, deep: !quick, sourceOf })) {
      throwIfAborted(options.signal);
      const { kind, subject, message } = finding;
      const outcome = repair && finding.repair ? await attempt(() => finding.repair?.() ?? '') : FOUND;
      problems.push({ kind, subject, message, ...outcome });
      options.onProgress?.({ type: 'step', message: `${kind} ${subject}: ${message}` });
    }
  }
  return { problems, clean: problems.every(({ state }) => state === 'repaired') };
}

type Outcome = Pick<Problem, 'state' | 'action'>;
const FOUND: Outcome = { state: 'found', action: null };

async function attempt(repair: () => Promise<string> | string): Promise<Outcome> {
  try {
    return { state: 'repaired', action: await repair() };
  } catch (error) {
    const { code, message } = asTslayerError(error);
    if (code === 'ABORTED') throw error;
    return { state: 'failed', action: message };
  }
}
