/** `inspect`: all that is known of images and containers, always as JSON, as docker prints it. */
import { isTslayerError, TslayerError } from '../../errors.ts';
import type { Tslayer } from '../../index.ts';
import type { CliCommand } from '../command.ts';

type Kind = 'image' | 'container';

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<images...>', 'names or ids of images or containers')
      .addOption(parser.createOption('--type <kind>', 'look for one kind only').choices(['image', 'container']));
  },

  async run(cli, [names]: [string[]], { type }: { type?: Kind }) {
    const tslayer = await cli.open();
    const found: unknown[] = [];
    for (const name of names) found.push(await inspectOne(tslayer, name, type));
    cli.output.document(found);
  },
};

/** A container's name comes first, as with docker. */
async function inspectOne(tslayer: Tslayer, name: string, type: Kind | undefined): Promise<unknown> {
  if (type !== 'image') {
    try {
      return await tslayer.inspectContainer(name);
    } catch (error) {
      if (type === 'container' || !isTslayerError(error, 'NOT_FOUND')) throw error;
    }
  }
  try {
    return await tslayer.inspect(name);
  } catch (error) {
    if (type === 'image' || !isTslayerError(error, 'NOT_FOUND')) throw error;
    throw new TslayerError('NOT_FOUND', `no image or container ${name}`, { hint: error.hint, cause: error });
  }
}
