/** Environment variables: the image's, the caller's, files of them. */
import { TslayerError } from '../../errors.ts';

/** Later entries win; the order of first appearance is kept. */
export function mergeEnvironment(...lists: readonly (readonly string[])[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of lists.flat()) {
    const at = entry.indexOf('=');
    if (at <= 0) throw new TslayerError('INVALID_ARGUMENT', `the variable ${JSON.stringify(entry)} is not KEY=VALUE`);
    merged.set(entry.slice(0, at), entry);
  }
  return [...merged.values()];
}

/** `KEY=VALUE` as it is; a bare `KEY` takes the caller's value, or is dropped when it has none. Docker's rule. */
export function resolveVariables(entries: readonly string[], environment: NodeJS.ProcessEnv): string[] {
  return entries.flatMap((entry) => {
    if (entry.includes('=')) return [entry];
    const value = environment[entry];
    return value === undefined ? [] : [`${entry}=${value}`];
  });
}

/** The lines of an `--env-file`: comments and blank lines are left out, values are taken literally. */
export function parseEnvironmentFile(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
