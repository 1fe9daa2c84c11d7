/** `push`: an image to a registry, digests as they are. */
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';
import { canonicalName } from '../names.ts';

interface PushFlags {
  readonly platform?: string;
  readonly referrers?: true;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<image>', 'name or id')
      .argument('[destination]', "where to; the image's own name when left out")
      .option('--platform <platform>', 'that platform alone instead of the index')
      .option('--referrers', 'carry signatures, SBOMs and other referrers along');
  },

  async run(cli, [image, destination]: [string, string | undefined], { platform, referrers }: PushFlags) {
    const tslayer = await cli.open();
    const result = await cli.working((operation) =>
      tslayer.push(image, { ...operation, destination, platform, referrers: referrers === true }),
    );
    const { uploaded, mounted, exists, uploadedBytes } = result;
    const parts = `${uploaded} uploaded (${size(uploadedBytes)}), ${mounted} mounted, ${exists} there already`;
    cli.output.message(result.status === 'present' ? `${result.name} is up to date` : `blobs: ${parts}`);
    cli.result({ ...result, reference: canonicalName(result) }, canonicalName(result));
  },
};
