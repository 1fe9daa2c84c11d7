/** `pull`: fetch, verify, store, unpack. */
import type { PullResult } from '../../index.ts';
import type { CliCommand } from '../command.ts';
import { canonicalName } from '../names.ts';

export interface PullFlags {
  readonly platform?: string;
  readonly allPlatforms?: true;
  readonly unpack: boolean;
}

export const command: CliCommand = {
  privilege: ({ unpack }: { unpack?: boolean }) => (unpack === false ? 'none' : 'needed'),

  define(parser) {
    parser
      .argument(
        '<image>',
        'NAME[:TAG], NAME@DIGEST, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF]',
      )
      .option('--platform <platform>', 'os/arch[/variant], when it is not that of this machine')
      .option('--all-platforms', 'keep every platform that the index names')
      .option('--no-unpack', 'only store it; this needs no privilege');
  },

  async run(cli, [image]: [string], { platform, allPlatforms, unpack }: PullFlags) {
    const tslayer = await cli.open();
    const result = await cli.working((operation) =>
      tslayer.pull(image, { ...operation, platform, allPlatforms: allPlatforms === true, unpack }),
    );
    cli.output.message(said(result));
    cli.result({ ...result, reference: canonicalName(result) }, canonicalName(result));
  },
};

function said({ name, status, platform, unpacked }: PullResult): string {
  const what = { present: 'is up to date', new: 'is new', updated: 'was updated' }[status];
  const details = [platform, ...(unpacked ? [] : ['not unpacked'])].filter((text) => text !== '');
  return `${name} ${what} (${details.join(', ')})`;
}
