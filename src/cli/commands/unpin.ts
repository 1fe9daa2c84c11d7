/** `unpin`: takes pins away; what they held goes with the next gc. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('<pins...>', 'names of pins');
  },

  async run(cli, [pins]: [string[]]) {
    const tslayer = await cli.open();
    await forEachName(cli, pins, 'unpinned', (pin) => tslayer.unpin(pin));
  },
};
