/** Benchmarks that need nothing but tslayer, as `tslayer bench` runs them. Loaded when they are asked for. */
import type { OperationOptions, Tslayer, TslayerOptions } from '../index.ts';
import type { BarChart } from './bar-chart.ts';
import type { BenchResult } from './result.ts';
import type { DiskBench } from './store-disk.ts';
import type { MountBench } from './store-mount.ts';
import type { PullBench } from './store-pull.ts';

export type { BarChart } from './bar-chart.ts';
export type { BenchResult } from './result.ts';
export type { DiskBench } from './store-disk.ts';
export type { MountBench } from './store-mount.ts';
export type { PullBench } from './store-pull.ts';

export interface RoundsOptions extends OperationOptions {
  /** How often each thing is measured. */
  readonly rounds?: number | undefined;
}

/** What images of the store share, by layers, and what sharing files or blocks would save. */
export async function benchDisk(
  tslayer: Tslayer,
  images: readonly string[],
  options?: OperationOptions,
): Promise<BenchResult<DiskBench>> {
  return (await import('./store-disk.ts')).benchDisk(tslayer, images, options);
}

/** Mounting and unmounting images of the store. */
export async function benchMount(
  tslayer: Tslayer,
  images: readonly string[],
  options?: RoundsOptions,
): Promise<BenchResult<MountBench>> {
  return (await import('./store-mount.ts')).benchMount(tslayer, images, options);
}

/** Pulling an image into an empty store, with each driver that works here, and once more when it is there. */
export async function benchPull(
  images: readonly string[],
  store: TslayerOptions,
  options?: RoundsOptions,
): Promise<BenchResult<PullBench>> {
  return (await import('./store-pull.ts')).benchPull(images, store, options);
}

/** A chart as SVG. */
export async function renderChart(chart: BarChart): Promise<string> {
  return (await import('./bar-chart.ts')).barChart(chart);
}
