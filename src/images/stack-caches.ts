/**
 * Caches that the driver keeps of whole stacks. A cache goes with any of its layers, by the driver.
 * Where each of them lives on in another image, only the rows tell that nobody needs the stack any more.
 */
import type { StackCache } from '../../drivers/driver.ts';
import { isTslayerError } from '../errors.ts';
import type { ChainID } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';

/** Caches of stacks that neither an image nor a snapshot is made of. */
export async function staleCaches(context: StoreContext): Promise<StackCache[]> {
  const { caches } = await context.driver();
  const found: StackCache[] = [];
  for await (const cache of caches?.list() ?? []) found.push(cache);
  if (found.length === 0) return found;
  // The driver leaves out what lies below an opaque root: a cache begins as its stack does.
  const lengths = new Set(found.map(({ stack }) => stack.length));
  const beginnings = new Set(
    stacksInUse(context).flatMap((stack) => [...lengths].map((length) => stack.slice(0, length).join(' '))),
  );
  return found.filter(({ stack }) => stack.length === 0 || !beginnings.has(stack.join(' ')));
}

export async function removeStaleCaches(context: StoreContext): Promise<void> {
  for (const { name } of await staleCaches(context)) await removeCache(context, name);
}

/** One that something is mounted of stays for another time. */
export async function removeCache(context: StoreContext, name: string): Promise<void> {
  const { caches } = await context.driver();
  try {
    await caches?.remove(name);
  } catch (error) {
    if (!isTslayerError(error, 'IN_USE')) throw error;
  }
}

/** Ids of their layers, top first. */
function stacksInUse({ metadata }: StoreContext): string[][] {
  const sql = `SELECT chain_id AS chain FROM images WHERE chain_id IS NOT NULL
    UNION SELECT parent FROM snapshots WHERE kind <> 'committed' AND parent IS NOT NULL`;
  const chains = metadata.database.all<{ chain: ChainID }>(sql);
  return chains.map(({ chain }) => metadata.layers.stack(chain).map(({ id }) => id));
}
