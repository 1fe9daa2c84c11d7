/** Things on the disk that no row knows. What interrupted pulls can go on with is none of them. */
import type { StoreContext } from '../context.ts';
import { findOrphans, removeOrphans } from '../orphans.ts';
import type { CheckOptions, Finding } from './finding.ts';

export async function* checkLeftovers(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  for (const orphan of await findOrphans(context)) {
    const { path, bytes, because, isSpare } = orphan;
    if (isSpare) continue;
    yield {
      kind: 'leftover',
      subject: path,
      message: `${bytes} bytes, ${because}`,
      repair: async () => {
        await removeOrphans(context, [orphan], options);
        return 'removed';
      },
    };
  }
}
