/** `exec`: a further program in a running container, with its exit status. */
import type { CliCommand } from '../command.ts';
import { collect } from '../flags.ts';
import { superviseForeground } from '../foreground.ts';
import { refuseFlags } from '../foreign-flags.ts';
import { environment } from './run-flags.ts';

interface ExecFlags {
  readonly interactive?: true;
  readonly tty?: true;
  readonly detachKeys?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly privileged?: true;
}

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser
      .argument('<container>', 'name or id')
      .argument('<command...>', 'the program and its arguments')
      .option('-i, --interactive', 'pass standard input on')
      .option('-t, --tty', 'give the program a terminal')
      .option('--detach-keys <keys>', 'keys that leave the program running (default: ctrl-p,ctrl-q)')
      .option('-e, --env <key[=value]>', 'environment', collect)
      .option('--env-file <file>', 'lines of KEY=VALUE', collect)
      .option('-w, --workdir <dir>', 'working directory')
      .option('-u, --user <name|uid[:group|gid]>', 'user')
      .option('--privileged', 'all capabilities')
      .passThroughOptions();
    refuseFlags(parser, { '-d, --detach': 'let a shell do it: exec NAME sh -c "PROGRAM &"' });
  },

  async run(cli, [name, words]: [string, string[]], { env, envFile, detachKeys, ...flags }: ExecFlags) {
    const tslayer = await cli.open();
    const options = { ...flags, command: words, env: environment(env ?? [], envFile ?? []) };
    await superviseForeground(cli, {
      terminal: flags.tty === true,
      attach: (io) => tslayer.execTerminal(name, options, { ...io, ...(detachKeys !== undefined && { detachKeys }) }),
      start: (io) => tslayer.exec(name, options, io),
      interactive: flags.interactive === true,
    });
  },
};
