/** Puts out a benchmark's result: a table to read, JSON and the chart made of it to keep (bench/results). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BarGroup, barChart } from '../../src/bench/bar-chart.ts';
import { describeMachine, type Machine, thisMachine } from '../../src/bench/machine.ts';

const RESULTS = resolve(import.meta.dirname, '../results');

export interface Report {
  /** File name of the results: `pull`. */
  readonly name: string;
  /** Where the program lies below bench/, if not at `NAME.ts`. */
  readonly script?: string;
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly BarGroup[];
  /** Everything measured, as it goes into the JSON. */
  readonly data: unknown;
  readonly table: string;
  readonly notes?: readonly string[];
}

/** @param keep writes the files as well */
export function publish(report: Report, keep: boolean): void {
  process.stdout.write(`${report.table}\n`);
  if (!keep) return;
  const machine: Machine = thisMachine();
  const command = `node bench/${report.script ?? `${report.name}.ts`} ${process.argv.slice(2).join(' ')}`.trim();
  mkdirSync(RESULTS, { recursive: true });
  const json = JSON.stringify({ name: report.name, command, machine, results: report.data }, undefined, 2);
  writeFileSync(join(RESULTS, `${report.name}.json`), `${json}\n`);
  const notes = [...(report.notes ?? []), describeMachine(machine), command];
  const svg = barChart({ title: report.title, notes, unit: report.unit, groups: report.groups });
  writeFileSync(join(RESULTS, `${report.name}.svg`), svg);
  process.stderr.write(`kept in bench/results/${report.name}.json and .svg\n`);
}
