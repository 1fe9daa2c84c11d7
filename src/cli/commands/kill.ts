/** `kill`: sends a signal to a container's first process. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';

export const command: CliCommand = {
  privilege: () => 'useful',
  define(parser) {
    parser
      .argument('<containers...>', 'names or ids')
      .option('-s, --signal <signal>', 'as in TERM, SIGTERM or 15', 'KILL');
  },

  async run(cli, [names]: [string[]], { signal }: { signal: string }) {
    const tslayer = await cli.open();
    await forEachName(cli, names, 'killed', (name) => tslayer.kill(name, signal));
  },
};
