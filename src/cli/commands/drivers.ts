/** `drivers`: which storage drivers work here, what each found by trying, and which one is chosen and why. */
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser.option('-v, --verbose', 'what each driver found by trying');
  },

  async run(cli, _args, { verbose }: { verbose?: true }) {
    const tslayer = await cli.open();
    const drivers = await tslayer.drivers({ signal: cli.signal });
    if (cli.json) return cli.output.document(drivers);
    await cli.output.table(
      ['DRIVER', 'WORKS', 'CHOSEN', 'REASON', 'WHAT IT DOES'],
      drivers.map((driver) => [
        driver.name,
        driver.available ? 'yes' : 'no',
        driver.chosen ? 'yes' : 'no',
        driver.chosen ? driver.why : driver.reason,
        driver.summary,
      ]),
    );
    if (!verbose) return;
    for (const { name, features } of drivers) {
      for (const [feature, value] of Object.entries(features)) cli.output.line(`${name}: ${feature} ${value}`);
    }
  },
};
