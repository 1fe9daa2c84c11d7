/** `commit`: what was written to a mount or container as a new layer, and an image of it. */
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';
import { defineLayerFlags, type LayerFlags, newImageOptions, tellImage } from './image-flags.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser.argument('<mount>', 'name of a mount or container').argument('<name>', 'name of the new image');
    defineLayerFlags(parser);
    parser
      .option('--unpack', 'unpack the new layer now, not when it is first used')
      .option('--no-unpack', 'the default');
  },

  async run(cli, [source, name]: [string, string], flags: LayerFlags) {
    const tslayer = await cli.open();
    const result = await cli.working((operation) =>
      tslayer.commit(source, name, { ...newImageOptions(flags), ...operation }),
    );
    const { layer } = result;
    cli.output.message(layer ? `a new layer of ${size(layer.size)}` : 'nothing was written: no new layer');
    tellImage(cli, result);
  },
};
