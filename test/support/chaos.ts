/** Random steps on one store, as several people would take them at the same time. */
import { type ErrorCode, isTslayerError } from '../../src/errors.ts';
import type { ChaosOptions, Step } from './run-store-child.ts';

/** What others may do to one: take the image away, hold it, be first. Everything else is a mistake of ours. */
const EXPECTED: readonly ErrorCode[] = ['IN_USE', 'NOT_FOUND', 'ALREADY_EXISTS'];

/** How often each step ended how: `pull done`, `rmi IN_USE`. */
export async function chaos(
  options: ChaosOptions,
  perform: (step: Step) => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const end = Date.now() + options.milliseconds;
  const counts: Record<string, number> = {};
  while (Date.now() < end) {
    const step = pick(stepsOf(options));
    const outcome = await perform(step).then(
      () => 'done',
      (error: unknown) => {
        if (isTslayerError(error) && EXPECTED.includes(error.code)) return error.code;
        throw new Error(`${JSON.stringify(step)} failed`, { cause: error });
      },
    );
    const key = `${step[0]} ${outcome}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

function stepsOf({ images, system, registry }: ChaosOptions): Step[] {
  const image = pick(images);
  const number = Math.floor(Math.random() * 4);
  const [mount, tag, made] = [`mount-${number}`, `tagged-${number}`, `made-${number}`];
  const steps: Step[] = [
    ['pull', image],
    ['pull', image, { unpack: false }],
    ['rmi', image],
    ['gc'],
    ['tag', image, tag],
    ['rmi', tag],
    ['mount', image, mount],
    ['umount', mount],
    ['umount', mount],
    ['commit', mount, made],
    ['mount', made, mount],
    ['squash', image, made],
    ['rmi', made],
  ];
  if (registry !== undefined) steps.push(['push', made, `${registry}/${made}`], ['push', image, `${registry}/${made}`]);
  if (system !== undefined)
    steps.push(['import', system, 'system'], ['run', 'system'], ['run', 'system'], ['rmi', 'system']);
  return steps;
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
