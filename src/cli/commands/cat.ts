/** `cat`: files of an image that is not mounted. */
import { once } from 'node:events';
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('<image>', 'name or id').argument('<paths...>', 'files in it');
  },

  async run(cli, [image, paths]: [string, string[]]) {
    const tslayer = await cli.open();
    for (const path of paths) {
      for await (const chunk of tslayer.cat(image, path, { signal: cli.signal })) {
        if (!cli.output.raw(chunk)) await once(process.stdout, 'drain', { signal: cli.signal });
      }
    }
  },
};
