/** `logs`: what a container wrote, each stream to its own. */
import type { LogEntry } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { moment, natural } from '../flags.ts';
import { err, out } from '../streams.ts';

interface LogFlags {
  readonly follow?: true;
  readonly tail?: number;
  readonly since?: Date;
  readonly timestamps?: true;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<container>', 'name or id')
      .option('-f, --follow', 'go on until the container ends')
      .option('-n, --tail <lines>', 'the last lines only', natural)
      .option('--since <time>', 'a date, or an age such as 10m', moment)
      .option('-t, --timestamps', 'the time in front of each line');
  },

  async run(cli, [name]: [string], { follow, tail, since, timestamps }: LogFlags) {
    const tslayer = await cli.open();
    const options = {
      follow: follow === true,
      signal: cli.signal,
      ...(tail !== undefined && { tail }),
      ...(since && { since }),
    };
    for await (const entry of tslayer.logs(name, options)) print(cli, entry, timestamps === true);
  },
};

function print(cli: Cli, { time, stream, data }: LogEntry, timestamps: boolean): void {
  if (cli.json) {
    cli.output.event({ type: 'log', time, stream, data: Buffer.from(data).toString('utf8') });
    return;
  }
  const target = stream === 'stdout' ? out : err;
  if (timestamps) target.write(`${time.toISOString()} `);
  target.write(data);
}
