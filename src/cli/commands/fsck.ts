/** `fsck`: holds rows, disk, digests and mounts against each other, and puts right what can be. */
import { TslayerError } from '../../errors.ts';
import type { CliCommand } from '../command.ts';
import { count } from '../format.ts';

interface FsckFlags {
  readonly repair?: true;
  readonly quick?: true;
}

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .option('--repair', 'fetch or unpack again what is damaged, and remove what belongs to nothing')
      .option('--quick', 'look whether things are there, without reading them');
  },

  async run(cli, _args, { repair, quick }: FsckFlags) {
    const tslayer = await cli.open();
    const report = await cli.working((operation) =>
      tslayer.fsck({ ...operation, repair: repair === true, quick: quick === true }),
    );
    if (cli.json) cli.result(report);
    else {
      for (const { kind, subject, message, state, action } of report.problems) {
        cli.output.line(`${kind} ${subject}: ${message}${action === null ? '' : ` (${state}: ${action})`}`);
      }
      cli.output.line(report.clean ? 'clean' : count(report.problems.length, 'problem'));
    }
    if (report.clean) return;
    const left = report.problems.filter(({ state }) => state !== 'repaired').length;
    throw new TslayerError(
      'MALFORMED',
      `the store has ${count(left, 'problem')}${repair ? ' that could not be repaired' : ''}`,
      {
        hint: repair ? undefined : 'fsck --repair puts right what can be',
      },
    );
  },
};
