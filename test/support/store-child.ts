/**
 * A process that works on a store: it is told by its argument what to do, and is killed, traced and multiplied by
 * the tests. Its steps run one after the other; the result of the last one is printed.
 */
import { collectGarbage } from '../../src/images/gc.ts';
import { mountImage, unmountImage } from '../../src/images/mount.ts';
import { removeImages } from '../../src/images/remove.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { tagImage } from '../../src/images/tag.ts';
import type { ChildTask, Step } from './run-store-child.ts';
import { openTestStore, pullFrom } from './test-store.ts';

const task = JSON.parse(process.argv[2] ?? '') as ChildTask;
await using store = await openTestStore(task.store);
process.stderr.write('open\n');
let result: unknown;
for (const step of task.steps) result = await perform(store, step);
process.stdout.write(JSON.stringify(result ?? null));

function perform(context: OpenStore, step: Step): Promise<unknown> {
  switch (step[0]) {
    case 'pull':
      return pullFrom(context, step[1], step[2] ?? {});
    case 'rmi':
      return removeImages(context, [step[1]], { force: true });
    case 'tag':
      return tagImage(context, step[1], step[2]);
    case 'gc':
      return collectGarbage(context);
    case 'mount':
      return mountImage(context, step[1], { name: step[2] });
    case 'umount':
      return unmountImage(context, step[1]);
  }
}
