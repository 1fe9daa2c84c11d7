/** `unshare`: a shell, or a command, where an ordinary user's mounts are visible. */
import { TslayerError } from '../../errors.ts';
import { unshare } from '../../index.ts';
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('[command...]', 'a program and its arguments; a shell when left out')
      .passThroughOptions()
      .addHelpText('after', '\nMounts that are made there go with it.');
  },

  async run(cli, [words]: [string[]]) {
    if (process.geteuid?.() === 0) {
      throw new TslayerError('INVALID_ARGUMENT', 'root needs no namespace: what it mounts is visible everywhere');
    }
    cli.interruption[Symbol.dispose]();
    const { root, config } = cli.globals;
    cli.exitStatus = await unshare(words.length > 0 ? words : [process.env.SHELL || '/bin/sh'], { root, config });
  },
};
