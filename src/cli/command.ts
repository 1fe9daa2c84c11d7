/** What a command is: how its words are parsed, and what it does. One file a command, loaded when it is called. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';

export interface CliCommand {
  /** Adds arguments, options and examples to the parser. */
  define(command: Command): void;
  /** What an ordinary user has to be given for it. Absent: nothing. */
  privilege?(options: object): Privilege;
  /**
   * @param args the positional arguments, as `define` declared them
   * @param options the options, by their camel-cased names
   */
  run(cli: Cli, args: readonly unknown[], options: object): Promise<void>;
}

/**
 * `needed`: it unpacks, mounts or runs, which an ordinary user can do in a user namespace of theirs only. `useful`:
 * it reads or removes what may have been made there.
 */
export type Privilege = 'needed' | 'useful' | 'none';

export interface CommandEntry {
  readonly name: string;
  readonly group: CommandGroup;
  /** One line for `tslayer --help`. */
  readonly summary: string;
  /** Errors before the program runs are this status instead of their own. */
  readonly failure?: number;
  load(): Promise<CliCommand>;
}

export type CommandGroup = 'Images' | 'File systems' | 'Containers' | 'Registries' | 'Store' | 'More';
