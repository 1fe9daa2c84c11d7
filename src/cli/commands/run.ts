/** `run`: a program in a new container, with its exit status; 125 when it could not be started. */
import { openSync, writeSync } from 'node:fs';
import { asTslayerError } from '../../errors.ts';
import type { CliCommand } from '../command.ts';
import { superviseForeground } from '../foreground.ts';
import { defineRunFlags, type RunFlags, runOptionsOf } from './run-flags.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    // docker's -h is the host name.
    parser.helpOption('--help', 'show this help');
    parser
      .argument('<image>', 'name or id; fetched when it is not in the store')
      .argument('[command...]', "the program and its arguments; the image's own when left out")
      .passThroughOptions();
    defineRunFlags(parser);
  },

  async run(cli, [image, command]: [string, string[]], flags: RunFlags) {
    const { rm, detach, detachKeys, platform, pull, cidfile, ...rest } = flags;
    const tslayer = await cli.open();
    const cid = cidfile === undefined ? undefined : createNew(cidfile);
    const onWarning = (message: string): void => cli.output.message(message, 'warn');
    await cli.working(async (operation, settle) => {
      const options = { ...runOptionsOf(rest, command), ...operation, remove: rm === true, pull, platform };
      if (detach) {
        const { id } = await tslayer.start(image, { ...options, onWarning });
        if (cid !== undefined) writeSync(cid, id);
        cli.result({ id }, id);
        return;
      }
      await superviseForeground(cli, {
        terminal: flags.tty === true,
        interactive: flags.interactive === true,
        attach: (io) => tslayer.runTerminal(image, options, { ...io, ...(detachKeys !== undefined && { detachKeys }) }),
        start: async (io) => {
          const running = await tslayer.run(image, options, io);
          settle();
          if (cid !== undefined) writeSync(cid, running.id);
          return running;
        },
      });
    });
  },
};

function createNew(file: string): number {
  try {
    return openSync(file, 'wx');
  } catch (error) {
    throw asTslayerError(error, 'cannot write the id');
  }
}
