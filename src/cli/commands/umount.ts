/** `umount`: takes mounts away, and what was written in them unless it is kept. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

interface UmountFlags {
  readonly keep?: true;
  readonly force?: true;
}

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser
      .argument('<mounts...>', 'names or mountpoints')
      .option('--keep', 'keep what was written: mount by the same name shows it again')
      .option('-f, --force', 'also while programs work in it');
  },

  async run(cli, [mounts]: [string[]], { keep, force }: UmountFlags) {
    const tslayer = await cli.open();
    const options = { keep: keep === true, force: force === true, signal: cli.signal };
    await forEachName(cli, mounts, 'unmounted', (mount) => tslayer.umount(mount, options));
  },
};
