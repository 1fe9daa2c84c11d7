/** What every benchmark comes to, whatever it measured: JSON as it is, a table, a chart. */
import type { BarChart } from './bar-chart.ts';

export interface BenchResult<Data> {
  /** Everything that was measured. */
  readonly data: Data;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly chart: BarChart;
}
