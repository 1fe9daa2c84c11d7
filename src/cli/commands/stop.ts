/** `stop`: the container's stop signal, then SIGKILL. */
import type { CliCommand } from '../command.ts';
import { forEachName } from '../each.ts';
import { natural } from '../flags.ts';

interface StopFlags {
  readonly time?: number;
  readonly signal?: string;
}

export const command: CliCommand = {
  privilege: () => 'useful',
  define(parser) {
    parser
      .argument('<containers...>', 'names or ids')
      .option('-t, --time <seconds>', "how long to wait before it is killed (default: the container's)", natural)
      .option('-s, --signal <signal>', "what to send first (default: the container's)");
  },

  async run(cli, [names]: [string[]], { time, signal }: StopFlags) {
    const tslayer = await cli.open();
    const options = { ...(time !== undefined && { timeoutSeconds: time }), ...(signal !== undefined && { signal }) };
    await forEachName(cli, names, 'stopped', (name) => tslayer.stop(name, options));
  },
};
