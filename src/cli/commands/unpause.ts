/** `unpause`: lets a paused container go on, by its freezer. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

export const command: CliCommand = {
  privilege: () => 'useful',
  define(parser) {
    parser.argument('<containers...>', 'names or ids');
  },

  async run(cli, [names]: [string[]]) {
    const tslayer = await cli.open();
    await forEachName(cli, names, 'unpaused', (name) => tslayer.unpause(name));
  },
};
