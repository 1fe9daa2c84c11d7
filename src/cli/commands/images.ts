/** `images`: every name in the store. */
import type { CliCommand } from '../command.ts';
import { ago, shortDigest, size } from '../format.ts';

export const command: CliCommand = {
  define(parser) {
    parser.option('--no-trunc', 'whole ids');
  },

  async run(cli, _args, { trunc }: { trunc: boolean }) {
    const tslayer = await cli.open();
    const images = await tslayer.images();
    if (cli.json) return cli.output.document(images);
    const id = (digest: string): string => (trunc ? shortDigest(digest) : digest);
    if (cli.quiet) return cli.output.lines(images.map((image) => id(image.id)));
    await cli.output.table(
      ['NAME', 'IMAGE ID', 'PLATFORM', 'CREATED', 'LAYERS', 'COMPRESSED', 'UNPACKED'],
      images.map((image) => [
        image.name,
        id(image.id),
        image.platform,
        ago(image.createdAt ?? undefined),
        String(image.layers),
        size(image.compressedBytes),
        image.unpacked ? size(image.unpackedBytes) : 'no',
      ]),
    );
  },
};
