/** `bench`: measures what users ask for: what sharing saves on disk, how long pulls and mounts take. */
import { writeFileSync } from 'node:fs';
import { Option } from 'commander';
import { TslayerError } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';

interface Options {
  readonly rounds?: number;
  readonly svg?: string;
}

type What = 'disk' | 'pull' | 'mount';

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .argument('<what>', 'disk, pull or mount')
      .argument('[images...]', 'images of the store; for pull, references')
      .addOption(new Option('--rounds <n>', 'how often each thing is measured').argParser(Number))
      .option('--svg <file>', 'write a chart as well')
      .addHelpText(
        'after',
        '\ndisk measures all images of the store when none is named; pull uses empty stores in the temporary directory.',
      );
  },

  async run(cli, [what, images]: [What, string[]], { rounds, svg }: Options) {
    const result = await measure(cli, what, images, rounds);
    if (svg !== undefined) {
      const { renderChart } = await import('../../index.ts');
      writeFileSync(svg, await renderChart(result.chart));
    }
    if (cli.json) return cli.output.document(result.data);
    await cli.output.table(
      [...result.head],
      result.rows.map((row) => [...row]),
    );
  },
};

async function measure(cli: Cli, what: What, images: readonly string[], rounds: number | undefined) {
  const { benchDisk, benchMount, benchPull } = await import('../../index.ts');
  const options = { rounds, signal: cli.signal };
  if (what === 'disk') return benchDisk(await cli.open(), await named(cli, images), options);
  if (what === 'mount') return benchMount(await cli.open(), await named(cli, images), options);
  if (what !== 'pull') throw new TslayerError('INVALID_ARGUMENT', `bench measures disk, pull or mount, not ${what}`);
  if (images.length === 0) throw new TslayerError('INVALID_ARGUMENT', 'bench pull needs a reference');
  const { driver, config } = cli.globals;
  return benchPull(images, { driver, config }, options);
}

async function named(cli: Cli, images: readonly string[]): Promise<readonly string[]> {
  if (images.length > 0) return images;
  const all = (await (await cli.open()).images()).map(({ name }) => name);
  if (all.length === 0) throw new TslayerError('NOT_FOUND', 'there are no images in the store');
  return all;
}
