/** `tag`: one more name for an image. */
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('<image>', 'name or id').argument('<name>', 'the new name');
  },

  async run(cli, [image, name]: [string, string]) {
    const tslayer = await cli.open();
    const tagged = await tslayer.tag(image, name);
    cli.result({ name: tagged }, tagged);
  },
};
