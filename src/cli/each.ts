/** Commands that take several names do what they can: one failure does not keep the others from being done. */
import { asTslayerError, type TslayerError } from '../errors.ts';
import type { Cli } from './cli.ts';

/**
 * Does `act` for each name in order, printing those that are done. Every failure is reported; the first one is
 * thrown at the end and gives the status. With --json the names come in one result, under `key`.
 */
export async function forEachName(
  cli: Cli,
  names: readonly string[],
  key: string,
  act: (name: string) => Promise<unknown>,
): Promise<void> {
  const done: string[] = [];
  const failures: TslayerError[] = [];
  for (const name of names) {
    try {
      await act(name);
      done.push(name);
      if (!cli.json) cli.output.line(name);
    } catch (error) {
      failures.push(asTslayerError(error));
      if (cli.signal.aborted) break;
    }
  }
  const [first, ...others] = failures;
  for (const failure of others) cli.output.error(failure);
  if (cli.json && done.length > 0) cli.output.event({ type: 'result', [key]: done });
  if (first) throw first;
}
