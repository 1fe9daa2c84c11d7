/** `logout`: forgets a registry's credential. */
import type { CliCommand } from '../command.ts';

const DOCKER_HUB = 'docker.io';

export const command: CliCommand = {
  define(parser) {
    parser.argument('[registry]', 'host[:port]', DOCKER_HUB);
  },

  async run(cli, [registry]: [string]) {
    const tslayer = await cli.open();
    const done = await tslayer.logout(registry);
    if (done.remaining !== undefined) {
      cli.output.message(`a credential for ${registry} is still in ${done.remaining}`, 'warn');
    }
    cli.result({ registry, ...done }, done.removed ? `logged out of ${registry}` : `not logged in to ${registry}`);
  },
};
