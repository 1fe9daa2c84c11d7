/**
 * A process that works on a store: it is told by its argument what to do, and is killed, traced and multiplied by
 * the tests. Its steps run one after the other; the result of the last one is printed.
 */
import type { ChildTask } from './run-store-child.ts';
import { perform } from './store-steps.ts';
import { openTestStore } from './test-store.ts';

const task = JSON.parse(process.argv[2] ?? '') as ChildTask;
await using store = await openTestStore(task.store);
process.stderr.write('open\n');
let result: unknown;
for (const step of task.steps) result = await perform(store, step);
process.stdout.write(JSON.stringify(result ?? null));
