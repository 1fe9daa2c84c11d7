/**
 * Caches that the driver keeps of whole stacks (erofs). A cache goes with any of its layers, by the driver.
 * Where each of them lives on in another image, only the rows tell that nobody needs the stack any more.
 */
import type { StackCache } from '../../drivers/driver.ts';
import type { ChainID } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';

/** Caches of stacks that neither an image nor a snapshot is made of. */
export async function staleCaches(context: StoreContext): Promise<StackCache[]> {
  const { caches } = await context.driver();
  const found: StackCache[] = [];
  for await (const cache of caches?.list() ?? []) found.push(cache);
  if (found.length === 0) return found;
  const stacks = stacksInUse(context);
  // The driver leaves out what lies below an opaque root: a cache begins as its stack does.
  return found.filter(
    ({ stack: cached }) => cached.length === 0 || !stacks.some((stack) => cached.every((id, at) => id === stack[at])),
  );
}

export async function removeStaleCaches(context: StoreContext): Promise<void> {
  const { caches } = await context.driver();
  for (const { name } of await staleCaches(context)) await caches?.remove(name);
}

/** Ids of their layers, top first. */
function stacksInUse({ metadata }: StoreContext): string[][] {
  const sql = `SELECT chain_id AS chain FROM images WHERE chain_id IS NOT NULL
    UNION SELECT parent FROM snapshots WHERE kind <> 'committed' AND parent IS NOT NULL`;
  const chains = metadata.database.all<{ chain: ChainID }>(sql);
  return chains.map(({ chain }) => metadata.layers.stack(chain).map(({ id }) => id));
}
