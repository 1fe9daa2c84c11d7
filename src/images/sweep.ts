/**
 * What a crash leaves, and how it goes. A dead session is one whose lock is free. Its garbage is removed; its leases
 * turn into leases that only time ends, so that the next pull can go on from what was fetched.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { asTslayerError, isTslayerError } from '../errors.ts';
import { listSessions, takeSession } from '../layers/session.ts';
import type { LeaseRow } from '../metadata/leases.ts';
import type { StorePaths } from '../store-layout.ts';
import { namesIn } from '../sys/names-in.ts';
import type { StoreContext } from './context.ts';

/** Sweeps dead sessions, expired leases and uploads. Four directory listings and two queries when there is nothing to do. */
export async function sweepCrashed(context: StoreContext): Promise<void> {
  const sessions = new Set([...listSessions(context.paths), ...context.metadata.sessions()]);
  for (const name of readdirSync(context.paths.tmp)) {
    const owner = ownerOf(name);
    if (owner !== undefined) sessions.add(owner);
  }
  for (const session of sessions) {
    if (session !== context.session.openId) await sweepSession(context, session);
  }
  await sweepLocks(context.paths);
  await sweepUploads(context);
  const expired = context.metadata.leases.expired(Date.now());
  if (expired.length === 0) return;
  const { endLease } = await import('./lease.ts');
  for (const lease of expired) await endLease(context, lease.id);
}

/** Removes what a session left, unless it lives. */
async function sweepSession(context: StoreContext, session: string): Promise<void> {
  const { metadata, paths } = context;
  using taken = await takeSession(paths, session);
  if (taken === undefined) return;
  const { removeGarbage } = await import('./collect.ts');
  // What cannot be removed now (mounted somewhere, no right, no driver) stays for another time: a store opens.
  await removeGarbage(context, metadata.garbage.bySession(session)).catch(() => undefined);
  metadata.transaction(() => {
    for (const lease of metadata.leases.bySession(session)) outlive(context, lease);
  });
  for (const name of readdirSync(paths.tmp)) {
    if (ownerOf(name) === session) rmSync(join(paths.tmp, name), { recursive: true, force: true });
  }
  await sweepUnusedStages(paths);
  if (!metadata.sessions().includes(session)) rmSync(taken.path, { force: true });
}

/** Layers that are still mounted for a mount that is no more. */
export async function sweepUnusedStages({ stages }: StorePaths): Promise<void> {
  if (!existsSync(stages)) return;
  const { sweepStages } = await import('../mounts/shared-stages.ts');
  try {
    sweepStages(stages);
  } catch (error) {
    // Without root there is nothing of ours to unmount.
    if (!isTslayerError(asTslayerError(error), 'DENIED')) throw error;
  }
}

/** Lock files that nobody holds any more: a crash leaves the file, never the lock. */
async function sweepLocks({ locks }: StorePaths): Promise<void> {
  const names = readdirSync(locks);
  if (names.length === 0) return;
  const { tryLock } = await import('../sys/locks.ts');
  for (const name of names) {
    using held = tryLock(join(locks, name));
    if (held) rmSync(held.path, { force: true });
  }
}

/** What a push began, nobody went on with, and may be a key to the registry. */
async function sweepUploads(context: StoreContext): Promise<void> {
  if (namesIn(context.paths.uploads).length === 0) return;
  const { removeUpload, staleUploads } = await import('./upload-memory.ts');
  for (const upload of staleUploads(context)) removeUpload(context.paths, upload);
}

/** The lease of a dead session ends by time; one that never would is over now. */
function outlive({ metadata }: StoreContext, lease: LeaseRow): void {
  metadata.leases.put({ ...lease, session: null, expiresAt: lease.expiresAt ?? Date.now() });
}

/** Scratch files are named after the session that they belong to. */
function ownerOf(name: string): string | undefined {
  return /^([0-9a-z]+-[0-9a-f]{12})(?:-|$)/.exec(name)?.[1];
}
