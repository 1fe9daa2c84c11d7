/** `rebase`: an image's own layers on another base, by their digests. */
import type { CliCommand } from '../command.ts';
import { count } from '../format.ts';
import { type ConfigFlags, defineConfigFlags, defineNoUnpack, newImageOptions, tellImage } from './image-flags.ts';

interface RebaseFlags extends ConfigFlags {
  readonly onto: string;
  readonly from?: string;
}

export const command: CliCommand = {
  privilege: ({ unpack }: { unpack?: boolean }) => (unpack === false ? 'none' : 'needed'),

  define(parser) {
    parser
      .argument('<image>', 'name or id')
      .argument('<name>', 'name of the new image')
      .requiredOption('--onto <image>', 'the base to come')
      .option('--from <image>', 'the base it has (default: the one in the store with the most layers in common)');
    defineConfigFlags(parser);
    defineNoUnpack(parser);
  },

  async run(cli, [image, name]: [string, string], { onto, from, ...flags }: RebaseFlags) {
    const tslayer = await cli.open();
    const options = { ...newImageOptions(flags), onto, from };
    const result = await cli.working((operation) => tslayer.rebase(image, name, { ...options, ...operation }));
    cli.output.message(`${count(result.replaced.layers, 'layer')} of ${result.replaced.base} replaced`);
    tellImage(cli, result);
  },
};
