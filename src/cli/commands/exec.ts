/** `exec`: a further program in a running container, with its exit status. */
import type { CliCommand } from '../command.ts';
import { collect } from '../flags.ts';
import { superviseForeground } from '../foreground.ts';
import { refuseFlags } from '../foreign-flags.ts';
import { environment } from './run-flags.ts';

interface ExecFlags {
  readonly interactive?: true;
  readonly tty?: true;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly privileged?: true;
}

/** A program that was started here ends with its caller: nobody else watches it. */
const FOREIGN: Readonly<Record<string, string>> = {
  '-d, --detach': 'let a shell do it: exec NAME sh -c "PROGRAM &"',
  '--detach-keys <keys>': 'what exec starts ends with it; attach can be left',
};

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser
      .argument('<container>', 'name or id')
      .argument('<command...>', 'the program and its arguments')
      .option('-i, --interactive', 'pass standard input on')
      .option('-t, --tty', 'give the program a terminal')
      .option('-e, --env <key[=value]>', 'environment', collect)
      .option('--env-file <file>', 'lines of KEY=VALUE', collect)
      .option('-w, --workdir <dir>', 'working directory')
      .option('-u, --user <name|uid[:group|gid]>', 'user')
      .option('--privileged', 'all capabilities')
      .passThroughOptions();
    refuseFlags(parser, FOREIGN);
  },

  async run(cli, [name, words]: [string, string[]], { env, envFile, ...flags }: ExecFlags) {
    const tslayer = await cli.open();
    const options = { ...flags, command: words, env: environment(env ?? [], envFile ?? []) };
    await superviseForeground(cli, {
      terminal: flags.tty === true,
      attach: (io) => tslayer.execTerminal(name, options, io),
      start: (io) => tslayer.exec(name, options, io),
      interactive: flags.interactive === true,
    });
  },
};
