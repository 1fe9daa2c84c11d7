/** `export`: the file system that a mount, a container or an image shows, as one tar. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { TslayerError } from '../../errors.ts';
import type { CliCommand } from '../command.ts';
import { writeAll } from '../stdout.ts';
import { out } from '../streams.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser
      .argument('<mount>', 'name of a mount, a container or an image')
      .option('-o, --output <file>', 'standard output when left out');
  },

  async run(cli, [name]: [string], { output }: { output?: string }) {
    if (output === undefined && out.isTerminal) {
      throw new TslayerError('INVALID_ARGUMENT', 'a tar on a terminal is of no use', { hint: 'use -o, or redirect' });
    }
    const tslayer = await cli.open();
    const tar = tslayer.export(name, { signal: cli.signal });
    if (output === undefined) return writeAll(tar, cli.signal);
    await pipeline(tar, createWriteStream(output), { signal: cli.signal });
    cli.result({ name, output }, output);
  },
};
