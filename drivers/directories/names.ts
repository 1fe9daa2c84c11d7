/** Ids, and the names beside them that say what a directory is on its way to. */
import { TslayerError } from '../../src/errors.ts';
import type { LayerId } from '../driver.ts';

const ID = /^[0-9a-z]{1,16}$/;

/**
 * Below a driver's directory: what is being made or removed. In a place of its own, for whoever opens a store looks for
 * leftovers, and must not have to read the names of all layers for that.
 */
export const UNDERWAY = '.underway';
/** Being deleted: nothing names it any more. AUFS' and Docker's word. */
export const REMOVING_SUFFIX = '.removing';
export const LOCK_SUFFIX = '.lock';

/** Ids end up in paths and mount options: nothing but their own alphabet may get that far. */
export function requireId(id: LayerId): LayerId {
  if (!ID.test(id)) throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(id)} is no layer id`);
  return id;
}

export const isId = (name: string): boolean => ID.test(name);

export const isRemoving = (name: string): boolean => name.includes(REMOVING_SUFFIX);
