/**
 * `tslayer bench pull`: an image pulled into an empty store, and again into the same one. Stores lie in the system's
 * temporary directory and are gone afterwards.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { throwIfAborted } from '../errors.ts';
import type { TslayerOptions } from '../index.ts';
import type { RoundsOptions } from './index.ts';
import { describeMachine, type Machine, thisMachine } from './machine.ts';
import type { BenchResult } from './result.ts';
import { type Summary, summarize } from './statistics.ts';

export interface PullBench {
  readonly machine: Machine;
  readonly pulls: readonly {
    readonly image: string;
    readonly driver: string;
    /** Seconds. */
    readonly cold: Summary;
    readonly present: Summary;
  }[];
}

export async function benchPull(
  images: readonly string[],
  options: TslayerOptions,
  { rounds = 3, signal }: RoundsOptions = {},
): Promise<BenchResult<PullBench>> {
  const drivers = options.driver === undefined ? await workingDrivers(options) : [options.driver];
  const samples = images.flatMap((image) => drivers.map((driver) => new Sample(image, driver)));
  // The drivers take turns, so that a busy minute hits all of them.
  for (let round = 0; round < rounds; round++) {
    for (const sample of samples) {
      throwIfAborted(signal);
      const { cold, present } = await pullTwice(sample.image, { ...options, driver: sample.driver }, signal);
      sample.cold.push(cold);
      sample.present.push(present);
    }
  }
  const pulls = samples.map(({ image, driver, cold, present }) => ({
    image,
    driver,
    cold: summarize(cold),
    present: summarize(present),
  }));
  return shown({ machine: thisMachine(), pulls });
}

class Sample {
  readonly image: string;
  readonly driver: string;
  readonly cold: number[] = [];
  readonly present: number[] = [];

  constructor(image: string, driver: string) {
    this.image = image;
    this.driver = driver;
  }
}

/** An empty store's directory, gone when `use` is done. */
async function withStore<T>(use: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'tslayer-bench-'));
  try {
    return await use(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function workingDrivers(options: TslayerOptions): Promise<string[]> {
  return withStore(async (root) => {
    const { openTslayer } = await import('../index.ts');
    await using tslayer = await openTslayer({ ...options, root });
    return (await tslayer.drivers()).filter(({ available }) => available).map(({ name }) => name);
  });
}

function pullTwice(
  image: string,
  options: TslayerOptions,
  signal: AbortSignal | undefined,
): Promise<{ cold: number; present: number }> {
  return withStore(async (root) => {
    const { openTslayer } = await import('../index.ts');
    await using tslayer = await openTslayer({ ...options, root });
    const started = performance.now();
    await tslayer.pull(image, { signal });
    const between = performance.now();
    await tslayer.pull(image, { signal });
    return { cold: (between - started) / 1000, present: (performance.now() - between) / 1000 };
  });
}

function shown(data: PullBench): BenchResult<PullBench> {
  const { pulls, machine } = data;
  const images = [...new Set(pulls.map(({ image }) => image))];
  return {
    data,
    head: ['IMAGE', 'DRIVER', 'COLD S', 'RANGE', 'PRESENT S'],
    rows: pulls.map(({ image, driver, cold, present }) => [
      image,
      driver,
      cold.median.toFixed(2),
      `${cold.min.toFixed(2)}–${cold.max.toFixed(2)}`,
      present.median.toFixed(3),
    ]),
    chart: {
      title: 'Pull into an empty store, until unpacked',
      notes: ['Median of the rounds, line: least to most.', describeMachine(machine)],
      unit: 's',
      groups: images.map((title) => ({
        title,
        bars: pulls
          .filter(({ image }) => image === title)
          .map(({ driver, cold: { median, min, max } }) => ({
            label: driver,
            value: median,
            min,
            max,
            highlight: true,
          })),
      })),
    },
  };
}
