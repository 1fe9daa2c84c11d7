/** `rm`: removes containers with what they wrote. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser.argument('<containers...>', 'names or ids').option('-f, --force', 'kill those that run');
  },

  async run(cli, [names]: [string[]], { force }: { force?: true }) {
    const tslayer = await cli.open();
    await forEachName(cli, names, 'removed', (name) => tslayer.rm(name, { force: force === true }));
  },
};
