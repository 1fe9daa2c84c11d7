/** `load`: images of an archive into the store. */
import { TslayerError } from '../../errors.ts';
import type { CliCommand } from '../command.ts';
import { canonicalName } from '../names.ts';

interface LoadFlags {
  readonly input?: string;
  readonly platform?: string;
  readonly unpack: boolean;
}

export const command: CliCommand = {
  privilege: ({ unpack }: { unpack?: boolean }) => (unpack === false ? 'none' : 'needed'),

  define(parser) {
    parser
      .option('-i, --input <file>', 'archive or layout directory; standard input when left out')
      .option('--platform <platform>', 'os/arch[/variant], when it is not that of this machine')
      .option('--no-unpack', 'only store them; this needs no privilege');
  },

  async run(cli, _args, { input, platform, unpack }: LoadFlags) {
    if (input === undefined && process.stdin.isTTY) {
      throw new TslayerError('INVALID_ARGUMENT', 'there is nothing to load on a terminal', { hint: 'use -i FILE' });
    }
    const tslayer = await cli.open();
    const results = await cli.working((operation) =>
      tslayer.load(input ?? '-', { ...operation, platform, unpack, stdin: process.stdin }),
    );
    cli.result({ images: results });
    if (!cli.json) for (const result of results) cli.output.line(canonicalName(result));
  },
};
