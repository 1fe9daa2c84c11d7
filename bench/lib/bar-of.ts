/** A tool's bar in a chart: the median, and from least to most. */
import type { Bar } from '../../src/bench/bar-chart.ts';

export function barOf(
  tool: string,
  { median, min, max }: { readonly median: number; readonly min: number; readonly max: number },
): Bar {
  return { label: tool, value: median, min, max, highlight: tool.startsWith('tslayer') };
}
