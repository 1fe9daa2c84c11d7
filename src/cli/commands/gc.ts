/** `gc`: removes what nothing holds; or says what it would remove, and why each thing stays. */
import type { CliCommand } from '../command.ts';
import { byteSize } from '../flags.ts';
import { size } from '../format.ts';

interface GcFlags {
  readonly dryRun?: true;
  readonly maxSize?: number;
  readonly interrupted?: true;
}

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .option('-n, --dry-run', 'remove nothing, and say why each thing would stay or go')
      .option('--max-size <size>', 'remove the least recently used images until the rest fits, as in 20GB', byteSize)
      .option('--interrupted', 'what interrupted pulls have fetched and pushes have begun, too');
  },

  async run(cli, _args, { dryRun, maxSize, interrupted }: GcFlags) {
    const tslayer = await cli.open();
    const report = await cli.working((operation) =>
      tslayer.gc({ ...operation, dryRun: dryRun === true, maxBytes: maxSize, interrupted: interrupted === true }),
    );
    if (cli.json) return cli.result(report);
    const rowsOf = (verdict: string, things: typeof report.kept): string[][] =>
      things.map(({ kind, key, bytes, because }) => [verdict, kind, key, size(bytes), because]);
    const rows = [...rowsOf(dryRun ? 'would go' : 'removed', report.removed), ...rowsOf('stays', report.kept)];
    if (rows.length > 0) await cli.output.table(['', 'KIND', 'WHAT', 'SIZE', 'BECAUSE'], rows);
    if (maxSize !== undefined && report.leftBytes > maxSize) {
      const message = `more than ${size(maxSize)} are held by mounts, containers, pins and running pulls`;
      cli.output.message(message, 'warn');
    }
    const verb = dryRun ? 'would be freed' : 'freed';
    cli.output.message(`${size(report.freedBytes)} ${verb}, ${size(report.leftBytes)} stay`);
  },
};
