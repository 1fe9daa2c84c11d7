/** The database by itself. */
import type { StoreContext } from '../context.ts';
import type { Finding } from './finding.ts';

export async function* checkDatabase({ metadata }: StoreContext): AsyncIterable<Finding> {
  for (const message of metadata.database.check()) yield { kind: 'database', subject: 'metadata.db', message };
}
