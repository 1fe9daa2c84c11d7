/** `tslayer bench mount`: a snapshot made and mounted, unmounted and dropped, in this process. */

import { throwIfAborted } from '../errors.ts';
import type { Tslayer } from '../index.ts';
import type { RoundsOptions } from './index.ts';
import { describeMachine, type Machine, thisMachine } from './machine.ts';
import type { BenchResult } from './result.ts';
import { type Summary, summarize } from './statistics.ts';

export interface MountBench {
  readonly machine: Machine;
  readonly images: readonly {
    readonly image: string;
    readonly layers: number;
    /** Milliseconds. */
    readonly mount: Summary;
    readonly umount: Summary;
  }[];
}

export async function benchMount(
  tslayer: Tslayer,
  images: readonly string[],
  { rounds = 10, signal }: RoundsOptions = {},
): Promise<BenchResult<MountBench>> {
  const measured: MountBench['images'][number][] = [];
  for (const image of images) {
    const { layers } = await tslayer.layers(image);
    const [mounting, unmounting]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      throwIfAborted(signal);
      const started = performance.now();
      const { name } = await tslayer.mount(image, { signal });
      const between = performance.now();
      await tslayer.umount(name);
      mounting.push(between - started);
      unmounting.push(performance.now() - between);
    }
    measured.push({ image, layers: layers.length, mount: summarize(mounting), umount: summarize(unmounting) });
  }
  return shown({ machine: thisMachine(), images: measured });
}

function shown(data: MountBench): BenchResult<MountBench> {
  const { images, machine } = data;
  const range = ({ median, min, max }: Summary): string[] => [median.toFixed(1), `${min.toFixed(1)}–${max.toFixed(1)}`];
  return {
    data,
    head: ['IMAGE', 'LAYERS', 'MOUNT MS', 'RANGE', 'UMOUNT MS', 'RANGE'],
    rows: images.map(({ image, layers, mount, umount }) => [image, String(layers), ...range(mount), ...range(umount)]),
    chart: {
      title: 'Snapshot and mount, unmount and drop',
      notes: ['Median of the rounds, line: least to most.', describeMachine(machine)],
      unit: 'ms',
      groups: images.map(({ image, layers, mount, umount }) => ({
        title: `${image}, ${layers} layers`,
        bars: [bar('mount', mount), bar('umount', umount)],
      })),
    },
  };
}

function bar(label: string, { median, min, max }: Summary) {
  return { label, value: median, min, max, highlight: true };
}
