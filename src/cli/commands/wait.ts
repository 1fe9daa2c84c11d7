/** `wait`: waits until containers end and prints their exit statuses. */
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('<containers...>', 'names or ids');
  },

  async run(cli, [names]: [string[]]) {
    const tslayer = await cli.open();
    const results = await Promise.all(names.map((name) => tslayer.wait(name, cli.signal)));
    if (cli.json) return cli.output.document(results.map((result, i) => ({ container: names[i], ...result })));
    for (const { exitCode } of results) cli.output.line(String(exitCode));
  },
};
