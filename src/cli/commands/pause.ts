/** `pause`: stops every process of a container where it is, by its freezer. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

export const command: CliCommand = {
  privilege: () => 'useful',
  define(parser) {
    parser.argument('<containers...>', 'names or ids');
  },

  async run(cli, [names]: [string[]]) {
    const tslayer = await cli.open();
    await forEachName(cli, names, 'paused', (name) => tslayer.pause(name));
  },
};
