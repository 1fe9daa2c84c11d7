/** Random steps on one store, as several people would take them at the same time. */
import { type ErrorCode, isTslayerError } from '../../src/errors.ts';
import type { ChaosOptions, Step } from './run-store-child.ts';

/** What others may do to one: take the image away, hold it, be first. Everything else is a mistake of ours. */
const EXPECTED: readonly ErrorCode[] = ['IN_USE', 'NOT_FOUND', 'ALREADY_EXISTS'];

/**
 * Every kind of step once, in random order, and again until the time is over. How often each ended how: `pull done`,
 * `rmi IN_USE`.
 */
export async function chaos(
  options: ChaosOptions,
  perform: (step: Step) => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const end = Date.now() + options.milliseconds;
  const counts: Record<string, number> = {};
  do {
    for (const step of shuffled(stepsOf(options))) {
      const key = `${step[0]} ${await outcomeOf(step, perform)}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
  } while (Date.now() < end);
  return counts;
}

async function outcomeOf(step: Step, perform: (step: Step) => Promise<unknown>): Promise<'done' | ErrorCode> {
  try {
    await perform(step);
    return 'done';
  } catch (error) {
    if (isTslayerError(error) && EXPECTED.includes(error.code)) return error.code;
    throw new Error(`${JSON.stringify(step)} failed`, { cause: error });
  }
}

function stepsOf({ images, system, registry, place }: ChaosOptions): Step[] {
  const image = pick(images);
  const number = Math.floor(Math.random() * 4);
  const [mount, tag, made] = [`mount-${number}`, `tagged-${number}`, `made-${number}`];
  return [
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
    ['push', made, `${registry}/${made}`],
    ['push', image, `${registry}/${made}`],
    ['import', system, 'system'],
    ['run', 'system'],
    ['run', 'system'],
    ['rmi', 'system'],
    ['save', image, 'oci-archive', `${place}-${number}.tar`],
    ['load', `${place}-${number}.tar`],
  ];
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
