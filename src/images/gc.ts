/**
 * `gc`: what nothing holds goes. Roots are names, snapshots (mounts, containers, kept ones) and leases (running
 * operations, interrupted pulls, pins). All deciding happens in one transaction, in which other processes can add
 * neither names nor leases; a dry run that comes down to a size is the same transaction, rolled back.
 */
import { setImmediate as othersBegin } from 'node:timers/promises';
import type { LeaseRow } from '../metadata/leases.ts';
import type { OperationOptions } from '../progress.ts';
import { type Candidates, type Collected, collectedBytes, dropUnheld, removeDropped } from './collect.ts';
import type { StoreContext } from './context.ts';
import { usersOf } from './df.ts';
import { shortName } from './find.ts';
import {
  type Explanation,
  explainDropped,
  explainOrphan,
  explainRows,
  explainUpload,
  UNHELD,
  type Verdicts,
} from './gc-explain.ts';
import { publishNames } from './layout-index.ts';
import { findOrphans, listContent, removeOrphans } from './orphans.ts';
import { sweepCrashed, sweepUnusedStages } from './sweep.ts';
import { removeUpload, staleUploads } from './upload-memory.ts';

export interface GcOptions extends OperationOptions {
  /** Decide and explain, remove nothing. */
  readonly dryRun?: boolean | undefined;
  /** Remove the least recently used images until blobs and layers take no more bytes than this. */
  readonly maxBytes?: number | undefined;
  /** Also end the leases of interrupted pulls, and forget interrupted pushes. */
  readonly interrupted?: boolean | undefined;
}

export interface GcReport {
  readonly dryRun: boolean;
  /** Names that went because of `maxBytes`, least recently used first. */
  readonly untagged: readonly string[];
  readonly removed: readonly Explanation[];
  /** What stays and why; in a dry run only, since explaining takes longer than collecting. */
  readonly kept: readonly Explanation[];
  readonly freedBytes: number;
  /** Bytes of blobs and layers that are left. */
  readonly leftBytes: number;
}

export async function collectGarbage(context: StoreContext, options: GcOptions = {}): Promise<GcReport> {
  const { dryRun = false } = options;
  if (dryRun && options.maxBytes === undefined) return explainGarbage(context, options);
  if (!dryRun) await sweepCrashed(context);
  const session = await context.session.open();
  const [content, decision] = await Promise.all([listContent(context), decide(context, options, session)]);
  const orphans = await findOrphans(context, content);
  const uploads = staleUploads(context, options.interrupted);
  if (!dryRun) {
    await publishNames(context);
    await removeDropped(context, decision.dropped, session);
    await removeOrphans(context, orphans, options);
    for (const upload of uploads) removeUpload(context.paths, upload);
    await sweepUnusedStages(context.paths);
  }
  const removed = [...decision.removed, ...orphans.map(explainOrphan), ...uploads.map(explainUpload)];
  return {
    dryRun,
    untagged: decision.untagged,
    removed,
    kept: decision.kept,
    freedBytes: sumOfBytes(removed),
    leftBytes: decision.leftBytes,
  };
}

/**
 * A dry run that need not try anything: without a limit, what goes is what nothing leads to. Neither waits for those who
 * write nor keeps them out.
 */
async function explainGarbage(context: StoreContext, options: GcOptions): Promise<GcReport> {
  const { metadata } = context;
  const readRows = async (): Promise<Verdicts> => {
    await othersBegin();
    const now = Date.now();
    return metadata.database.snapshot(() => explainRows(metadata, (lease) => isOver(lease, options, now)));
  };
  const [content, { held, unheld, digests }] = await Promise.all([listContent(context), readRows()]);
  const orphans = await findOrphans(context, content, digests);
  const uploads = staleUploads(context, options.interrupted);
  const removed = [...unheld, ...orphans.map(explainOrphan), ...uploads.map(explainUpload)];
  return {
    dryRun: true,
    untagged: [],
    removed,
    kept: held,
    freedBytes: sumOfBytes(removed),
    leftBytes: sumOfBytes(held),
  };
}

function sumOfBytes(things: readonly Explanation[]): number {
  return things.reduce((sum, { bytes }) => sum + bytes, 0);
}

function isOver({ session, expiresAt }: LeaseRow, { interrupted }: GcOptions, now: number): boolean {
  return session === null && expiresAt !== null && (interrupted === true || expiresAt <= now);
}

interface Decision {
  readonly untagged: readonly string[];
  readonly dropped: Collected;
  readonly removed: readonly Explanation[];
  readonly kept: readonly Explanation[];
  readonly leftBytes: number;
}

async function decide(context: StoreContext, options: GcOptions, session: string): Promise<Decision> {
  const work = () => decideInside(context, options, session);
  const { metadata } = context;
  await othersBegin();
  return options.dryRun ? metadata.database.preview(work) : metadata.transaction(work, { durable: true });
}

function decideInside(context: StoreContext, options: GcOptions, session: string): Decision {
  const { metadata } = context;
  const now = Date.now();
  for (const lease of metadata.leases.list()) if (isOver(lease, options, now)) metadata.leases.delete(lease.id);
  const collections = [dropUnheld(metadata, session, unheldCandidates(context))];
  const removed = explainDropped(collections[0] as Collected, UNHELD);
  const untagged: string[] = [];
  let left = storedBytes(context);
  for (const victim of options.maxBytes === undefined ? [] : leastRecentlyUsed(context)) {
    if (left <= (options.maxBytes ?? 0)) break;
    for (const name of victim.names) metadata.images.delete(name);
    const dropped = dropUnheld(metadata, session, victim.candidates);
    left -= collectedBytes(dropped);
    collections.push(dropped);
    untagged.push(...victim.names.map(shortName));
    removed.push(...explainDropped(dropped, `${shortName(victim.names[0] ?? '')} was used least recently`));
  }
  if (untagged.length > 0) metadata.settings.count('images');
  const kept = options.dryRun ? explainRows(metadata, () => false).held : [];
  return { untagged, dropped: merge(collections), removed, kept, leftBytes: left };
}

/** Everything that no name, snapshot, lease or stored parent leads to. */
function unheldCandidates({ metadata: { database } }: StoreContext): Candidates {
  // In order, each table or index is walked once, side by side with the others; a look at each row would take longer.
  const keys = <K>(sql: string) => database.columns<readonly [key: K]>(`${sql} ORDER BY key`).map(([key]) => key);
  return {
    blobs: keys(`SELECT digest AS key FROM blobs
      EXCEPT SELECT child FROM refs
      EXCEPT SELECT target FROM images
      EXCEPT SELECT manifest FROM images
      EXCEPT SELECT config FROM images`),
    chains: keys(`SELECT key FROM snapshots WHERE kind = 'committed'
      EXCEPT SELECT parent FROM snapshots WHERE parent IS NOT NULL
      EXCEPT SELECT chain_id FROM images WHERE chain_id IS NOT NULL`),
    layers: keys('SELECT key FROM layers EXCEPT SELECT layer FROM snapshots WHERE layer IS NOT NULL'),
  };
}

function storedBytes({ metadata: { database } }: StoreContext): number {
  const sql = 'SELECT (SELECT total(size) FROM blobs) + (SELECT total(bytes) FROM layers) AS bytes';
  return database.get<{ bytes: number }>(sql)?.bytes ?? 0;
}

interface Victim {
  readonly names: readonly string[];
  readonly candidates: Candidates;
}

/** Images that nothing is made of, the longest unused first. */
function* leastRecentlyUsed(context: StoreContext): Iterable<Victim> {
  const images = [...Map.groupBy(context.metadata.images.list(), (row) => row.manifest)]
    .map(([manifest, rows]) => ({ manifest, rows, usedAt: Math.max(...rows.map((row) => row.usedAt)) }))
    .sort((a, b) => a.usedAt - b.usedAt);
  for (const { manifest, rows } of images) {
    if (usersOf(context, manifest).length > 0) continue;
    yield {
      names: rows.map((row) => row.name),
      candidates: {
        blobs: rows.flatMap((row) => [row.config, row.manifest, row.target]),
        chains: rows.flatMap((row) => row.chainId ?? []),
      },
    };
  }
}

function merge(all: readonly Collected[]): Collected {
  return {
    blobs: all.flatMap((one) => one.blobs),
    layers: all.flatMap((one) => one.layers),
    chains: all.flatMap((one) => one.chains),
  };
}
