/** `mount`: a new writable snapshot over an image, mounted; it survives the process. */
import type { CliCommand } from '../command.ts';
import { requireMounting } from '../privilege.ts';

interface MountFlags {
  readonly name?: string;
  readonly readOnly?: true;
  readonly target?: string;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<image>', 'name or id')
      .option('--name <name>', 'name of the mount; that of a kept one shows it again')
      .option('--read-only', 'a view that nothing can be written to')
      .option('--target <dir>', 'where to mount it (default: in the store)');
  },

  async run(cli, [image]: [string], { name, readOnly, target }: MountFlags) {
    requireMounting();
    const tslayer = await cli.open();
    const mounted = await cli.working((operation) =>
      tslayer.mount(image, { ...operation, name, readOnly: readOnly === true, target }),
    );
    cli.result(mounted, mounted.target);
  },
};
