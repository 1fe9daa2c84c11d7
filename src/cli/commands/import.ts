/** `import`: a root file system's tar as an image of one layer. */
import type { CliCommand } from '../command.ts';
import { defineLayerFlags, defineNoUnpack, type LayerFlags, newImageOptions, tellImage } from './image-flags.ts';

export const command: CliCommand = {
  privilege: ({ unpack }: { unpack?: boolean }) => (unpack === false ? 'none' : 'needed'),

  define(parser) {
    parser
      .argument('<tar>', 'file, or - for standard input; gzip and zstd are undone')
      .argument('<name>', 'name of the new image')
      .option('--platform <platform>', 'what the image says it runs on');
    defineLayerFlags(parser);
    defineNoUnpack(parser);
  },

  async run(cli, [tar, name]: [string, string], { platform, ...flags }: LayerFlags & { platform?: string }) {
    const tslayer = await cli.open();
    const options = { ...newImageOptions(flags), platform, stdin: process.stdin };
    tellImage(cli, await cli.working((operation) => tslayer.import(tar, name, { ...options, ...operation })));
  },
};
