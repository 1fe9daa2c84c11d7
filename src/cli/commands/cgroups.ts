/** `cgroups`: the hierarchies, the subsystems attached to each, and the containers in them. */
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define() {},

  async run(cli) {
    const tslayer = await cli.open();
    const hierarchies = await tslayer.cgroups();
    if (cli.json) return cli.output.document(hierarchies);
    await cli.output.table(
      ['HIERARCHY', 'VERSION', 'SUBSYSTEMS', 'CONTAINERS'],
      hierarchies.map(({ mountpoint, version, subsystems, containers }) => [
        mountpoint,
        `v${version}`,
        subsystems.join(','),
        containers.map(({ name, processes }) => `${name} (${processes})`).join(', '),
      ]),
    );
  },
};
