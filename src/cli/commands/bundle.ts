/** `bundle`: an OCI bundle of an image, for any runtime: config.json, and the image mounted at rootfs. */
import type { CliCommand } from '../command.ts';
import { requireMounting } from '../privilege.ts';
import { defineContainerFlags, type RunFlags, runOptionsOf } from './run-flags.ts';

export const command: CliCommand = {
  define(parser) {
    parser.helpOption('--help', 'show this help');
    parser
      .argument('<image>', 'name or id')
      .argument('<directory>', 'made when it is not there')
      .argument('[command...]', "the program and its arguments; the image's own when left out")
      .passThroughOptions()
      .addHelpText(
        'after',
        '\nThen: runc run --bundle DIRECTORY NAME. tslayer umount DIRECTORY/rootfs ends the mount.',
      );
    defineContainerFlags(parser);
  },

  async run(cli, [image, directory, command]: [string, string, string[]], flags: RunFlags) {
    requireMounting();
    const tslayer = await cli.open();
    const bundle = await cli.working((operation) =>
      tslayer.bundle(image, directory, { ...runOptionsOf(flags, command), ...operation }),
    );
    cli.result(bundle, bundle.directory);
  },
};
