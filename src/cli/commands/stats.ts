/** `stats`: what containers use, a sample a second; one table in place on a terminal. */
import type { ContainerStats } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';
import { out } from '../streams.ts';

const HEADERS = [
  'NAME',
  'CPU',
  'MEMORY / LIMIT',
  'CACHE',
  'NET IN / OUT',
  'IO READ / WRITTEN',
  'PIDS',
  'THROTTLED',
  'OOM',
];
/** There is none, or nobody counts it. */
const UNKNOWN = '--';

export const command: CliCommand = {
  define(parser) {
    parser.argument('[containers...]', 'names or ids; all that run when left out').option('--no-stream', 'one sample');
  },

  async run(cli, [names]: [string[]], { stream }: { stream: boolean }) {
    const tslayer = await cli.open();
    for await (const sample of tslayer.stats(names, { once: !stream, signal: cli.signal })) {
      if (cli.json && !stream) cli.output.document(sample);
      else if (cli.json) cli.output.event({ type: 'stats', containers: sample });
      else await show(cli, sample, stream);
    }
  },
};

function show(cli: Cli, sample: readonly ContainerStats[], stream: boolean): Promise<void> {
  const rows = sample.map(row);
  return stream && out.isTerminal ? cli.output.screen(HEADERS, rows) : cli.output.table(HEADERS, rows);
}

function row({ name, cpu, memory, network, io, pids }: ContainerStats): string[] {
  return [
    name,
    cpu ? `${cpu.percent.toFixed(2)} %` : UNKNOWN,
    memory ? `${size(memory.usage)} / ${memory.limit === undefined ? UNKNOWN : size(memory.limit)}` : UNKNOWN,
    memory ? size(memory.pageCache) : UNKNOWN,
    network ? `${size(network.received)} / ${size(network.sent)}` : UNKNOWN,
    io ? `${size(io.readBytes)} / ${size(io.writeBytes)}` : UNKNOWN,
    pids ? String(pids.current) : UNKNOWN,
    cpu ? String(cpu.throttledPeriods ?? 0) : UNKNOWN,
    memory ? String(memory.oomKills) : UNKNOWN,
  ];
}
