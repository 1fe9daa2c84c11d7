/** The list of commands. Adding one is a file in commands/ and an entry here; the file is loaded when it is called. */
import { TslayerError } from '../errors.ts';
import type { CommandEntry } from './command.ts';
import { suggest } from './suggest.ts';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    group: 'Registries',
    summary: 'Serve the store, or an OCI layout, as a registry',
    load: async () => (await import('./commands/serve.ts')).command,
  },
  {
    name: 'completion',
    group: 'More',
    summary: 'Print a script that completes commands and options in bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).command,
  },
];

/** Names that habits from other tools bring along. */
const ALIASES: Readonly<Record<string, string>> = {
  unmount: 'umount',
  list: 'images',
  remove: 'rm',
  'image-rm': 'rmi',
};

export function findCommand(name: string): CommandEntry {
  const wanted = ALIASES[name] ?? name;
  const found = COMMANDS.find((command) => command.name === wanted);
  if (found) return found;
  throw new TslayerError('INVALID_ARGUMENT', `unknown command ${JSON.stringify(name)}`, { hint: hintFor(name) });
}

function hintFor(name: string): string {
  const meant = suggest(
    name,
    COMMANDS.map((command) => command.name),
  );
  return meant === undefined ? 'tslayer --help lists the commands' : `did you mean ${meant}?`;
}
