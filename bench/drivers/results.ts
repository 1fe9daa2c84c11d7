/** Results of the drivers' benchmarks: what was done, by whom, in milliseconds. */
import { type Summary, summarize } from '../../src/bench/statistics.ts';
import { textTable } from '../../src/bench/table.ts';
import { publish } from '../lib/report.ts';

interface Line {
  readonly what: string;
  readonly who: string;
  readonly milliseconds: Summary;
}

export class Results {
  readonly #lines: Line[] = [];

  note(what: string, who: string, samples: readonly number[]): void {
    this.#lines.push({ what, who, milliseconds: summarize(samples) });
    const { median } = summarize(samples);
    process.stderr.write(`${what}: ${who}: ${median.toFixed(2)} ms\n`);
  }

  publish(name: string, title: string, notes: readonly string[], keep: boolean): void {
    const rows = this.#lines.map(({ what, who, milliseconds: { median, min, max } }) => [
      what,
      who,
      median.toFixed(2),
      `${min.toFixed(2)}–${max.toFixed(2)}`,
    ]);
    const groups = [...new Set(this.#lines.map(({ what }) => what))].map((what) => ({
      title: what,
      bars: this.#lines
        .filter((line) => line.what === what)
        .map(({ who, milliseconds: { median, min, max } }) => ({
          label: who,
          value: median,
          min,
          max,
          highlight: who.startsWith('tslayer'),
        })),
    }));
    const table = textTable(['what', 'who', 'ms', 'range'], rows);
    const script = `drivers/${name.replace('drivers-', '')}.ts`;
    publish({ name, script, title, unit: 'ms', notes, groups, data: this.#lines, table }, keep);
  }
}
