/** The steps that the store's tests take, in a process of their own or in the test's. */
import { type ErrorCode, isTslayerError } from '../../src/errors.ts';
import { collectGarbage } from '../../src/images/gc.ts';
import { mountImage, unmountImage } from '../../src/images/mount.ts';
import { removeImages } from '../../src/images/remove.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { tagImage } from '../../src/images/tag.ts';
import type { Step } from './run-store-child.ts';
import { pullFrom } from './test-store.ts';

/** What others may do to one: take the image away, hold it, be first. Everything else is a mistake of ours. */
const EXPECTED: readonly ErrorCode[] = ['IN_USE', 'NOT_FOUND', 'ALREADY_EXISTS'];

export function perform(context: OpenStore, step: Step): Promise<unknown> {
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
    case 'chaos':
      return chaos(context, step[1], step[2]);
  }
}

async function chaos(context: OpenStore, images: readonly string[], milliseconds: number): Promise<unknown> {
  const end = Date.now() + milliseconds;
  const counts: Record<string, number> = {};
  while (Date.now() < end) {
    const image = images[Math.floor(Math.random() * images.length)] as string;
    const name = `mount-${Math.floor(Math.random() * 4)}`;
    const steps: Step[] = [
      ['pull', image],
      ['pull', image, { unpack: false }],
      ['rmi', image],
      ['gc'],
      ['tag', image, `tagged-${name}`],
      ['rmi', `tagged-${name}`],
      ['mount', image, name],
      ['umount', name],
      ['umount', name],
    ];
    const step = steps[Math.floor(Math.random() * steps.length)] as Step;
    const outcome = await perform(context, step).then(
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
