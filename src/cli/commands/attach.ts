/** `attach`: joins a detached container's terminal or output. */
import type { CliCommand } from '../command.ts';
import { ownStreams } from '../streams.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser
      .argument('<container>', 'name or id')
      .option('--detach-keys <keys>', 'keys that leave it running (default: ctrl-p,ctrl-q)');
  },

  async run(cli, [name]: [string], { detachKeys }: { detachKeys?: string }) {
    const tslayer = await cli.open();
    const onWarning = (message: string): void => cli.output.message(message, 'warn');
    const keys = detachKeys === undefined ? {} : { detachKeys };
    cli.exitStatus = (
      await tslayer.attach(name, { stdout: ownStreams(), onWarning, signal: cli.signal, ...keys })
    ).exitCode;
  },
};
