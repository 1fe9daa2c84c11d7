/** `cat`: files of an image that is not mounted. */
import type { CliCommand } from '../command.ts';
import { writeAll } from '../stdout.ts';

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser.argument('<image>', 'name or id').argument('<paths...>', 'files in it');
  },

  async run(cli, [image, paths]: [string, string[]]) {
    const tslayer = await cli.open();
    const { signal } = cli;
    for (const path of paths) await writeAll(tslayer.cat(image, path, { signal }), signal);
  },
};
