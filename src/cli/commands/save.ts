/** `save`: images as one archive, shared layers once, digests as they are. */
import { TslayerError } from '../../errors.ts';
import type { Tslayer } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { writeAll } from '../stdout.ts';
import { out } from '../streams.ts';

type Format = 'oci-archive' | 'docker-archive' | 'oci';

interface SaveFlags {
  readonly output?: string;
  readonly format: Format;
  readonly platform?: string;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<images...>', 'names or ids')
      .option('-o, --output <file>', 'file or, for oci, directory; standard output when left out')
      .addOption(
        parser
          .createOption('--format <format>', 'what docker, podman and containerd load is the first one')
          .choices(['oci-archive', 'docker-archive', 'oci'])
          .default('oci-archive'),
      )
      .option('--platform <platform>', 'that platform alone instead of the index');
  },

  async run(cli, [images]: [string[]], { output, format, platform }: SaveFlags) {
    const tslayer = await cli.open();
    if (output === undefined) return saveToStdout(cli, tslayer, images, format, platform);
    await cli.working((operation) => tslayer.save(images, { ...operation, output, format, platform }));
    cli.result({ images, output, format }, output);
  },
};

async function saveToStdout(
  cli: Cli,
  tslayer: Tslayer,
  images: readonly string[],
  format: Format,
  platform: string | undefined,
): Promise<void> {
  if (format === 'oci') throw new TslayerError('INVALID_ARGUMENT', 'a layout is a directory: name it with -o');
  if (out.isTerminal) {
    throw new TslayerError('INVALID_ARGUMENT', 'an archive on a terminal is of no use', {
      hint: 'use -o, or redirect',
    });
  }
  const { signal } = cli;
  await writeAll(tslayer.saveStream(images, { format, platform, signal }), signal);
}
