/** `rmi`: names go, and what they alone held. */
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .argument('<images...>', 'names or ids')
      .option('-f, --force', 'all names of an image that is given by its id');
  },

  async run(cli, [images]: [string[]], { force }: { force?: true }) {
    const tslayer = await cli.open();
    const removal = await tslayer.rmi(images, { force: force === true });
    if (cli.json) return cli.result(removal);
    for (const name of removal.untagged) cli.output.line(`untagged ${name}`);
    for (const digest of removal.blobs) cli.output.line(`deleted ${digest}`);
    cli.output.message(`${size(removal.freedBytes)} freed`);
  },
};
