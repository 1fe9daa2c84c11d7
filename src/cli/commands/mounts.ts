/** `mounts`: what is mounted, and what was and no longer is. */
import type { CliCommand } from '../command.ts';
import { ago } from '../format.ts';

export const command: CliCommand = {
  define() {},

  async run(cli) {
    const tslayer = await cli.open();
    const mounts = await tslayer.mounts();
    if (cli.json) return cli.output.document(mounts);
    if (cli.quiet) return cli.output.lines(mounts.map((mount) => mount.name));
    await cli.output.table(
      ['NAME', 'IMAGE', 'MODE', 'STATE', 'CREATED', 'MOUNTPOINT'],
      mounts.map((mount) => [
        mount.name,
        mount.image,
        mount.readOnly ? 'ro' : 'rw',
        mount.state,
        ago(mount.createdAt),
        mount.target,
      ]),
    );
  },
};
