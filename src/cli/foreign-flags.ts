/** Flags that docker's users know and that mean nothing here: an error that says what to write instead. */
import { type Command, Option } from 'commander';
import { TslayerError } from '../errors.ts';

/** @param flags as commander spells them, `-p, --publish <ports>`, each with its hint */
export function refuseFlags(parser: Command, flags: Readonly<Record<string, string>>): void {
  for (const [spelling, hint] of Object.entries(flags)) {
    const option = new Option(spelling).hideHelp();
    parser.addOption(option).on(`option:${option.name()}`, () => {
      throw new TslayerError('INVALID_ARGUMENT', `there is no ${option.long} here`, { hint });
    });
  }
}
