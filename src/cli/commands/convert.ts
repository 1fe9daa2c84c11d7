/** `convert`: gives the store another driver, without the network. A crash leaves the old store or the new one. */
import type { CliCommand } from '../command.ts';
import { count, size } from '../format.ts';

export const command: CliCommand = {
  privilege: () => 'needed',

  define(parser) {
    parser.requiredOption('--driver <name>', 'the driver to come; or a module or package of one from outside');
  },

  async run(cli, _args, { driver }: { driver: string }) {
    const tslayer = await cli.openAsItIs();
    const result = await cli.working((operation) => tslayer.convert(driver, operation));
    const { from, to, layers, bytesBefore, bytesAfter } = result;
    const line =
      from === to
        ? `the store has the driver ${to} already`
        : `${from} → ${to}: ${count(layers, 'layer')}, ${size(bytesBefore)} → ${size(bytesAfter)}`;
    cli.result(result, line);
  },
};
