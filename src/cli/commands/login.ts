/** `login`: checks a credential at the registry and stores it where podman and docker look for theirs. */
import { text } from 'node:stream/consumers';
import { TslayerError } from '../../errors.ts';
import type { CliCommand } from '../command.ts';
import { promptLine, promptSecret } from '../prompt.ts';

const DOCKER_HUB = 'docker.io';

interface LoginFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: true;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('[registry]', 'host[:port]', DOCKER_HUB)
      .option('-u, --username <name>', 'user name')
      .option('--password-stdin', 'read the password from standard input')
      .option('-p, --password <password>', 'the password; other users can see it in the list of processes');
  },

  async run(cli, [registry]: [string], flags: LoginFlags) {
    const username = flags.username ?? (await promptLine('Username: '));
    const password = await passwordOf(flags);
    if (flags.password !== undefined) {
      cli.output.message('a password in the arguments can be seen by others: use --password-stdin', 'warn');
    }
    const tslayer = await cli.open();
    const done = await tslayer.login(registry, { username, password, signal: cli.signal });
    if (!done.checked) cli.output.message(`${registry} asked for no credential, so it was not checked`, 'warn');
    cli.result({ registry, username, ...done }, `logged in to ${registry} as ${username}, stored in ${done.storedIn}`);
  },
};

async function passwordOf({ password, passwordStdin }: LoginFlags): Promise<string> {
  if (passwordStdin && password !== undefined) {
    throw new TslayerError('INVALID_ARGUMENT', '--password and --password-stdin exclude each other');
  }
  if (password !== undefined) return password;
  // What echo(1) and an editor put behind it is not part of it.
  if (passwordStdin) return (await text(process.stdin)).replace(/\r?\n$/, '');
  return await promptSecret('Password: ');
}
