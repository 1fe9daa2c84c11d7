/** `squash`: layers of an image as one, without what they hide from each other. */
import type { CliCommand } from '../command.ts';
import { natural } from '../flags.ts';
import { defineLayerFlags, defineNoUnpack, type LayerFlags, newImageOptions, tellImage } from './image-flags.ts';

export const command: CliCommand = {
  privilege: ({ unpack }: { unpack?: boolean }) => (unpack === false ? 'none' : 'needed'),

  define(parser) {
    parser
      .argument('<image>', 'name or id')
      .argument('<name>', 'name of the new image')
      .option('--keep <number>', 'layers from the base that stay as they are', natural, 0);
    defineLayerFlags(parser);
    defineNoUnpack(parser);
  },

  async run(cli, [image, name]: [string, string], { keep, ...flags }: LayerFlags & { keep: number }) {
    const tslayer = await cli.open();
    const options = { ...newImageOptions(flags), keep };
    tellImage(cli, await cli.working((operation) => tslayer.squash(image, name, { ...options, ...operation })));
  },
};
