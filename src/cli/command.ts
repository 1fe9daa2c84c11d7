/** What a command is: how its words are parsed, and what it does. One file a command, loaded when it is called. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';

export interface CliCommand {
  /** Adds arguments, options and examples to the parser. */
  define(command: Command): void;
  /**
   * @param args the positional arguments, as `define` declared them
   * @param options the options, by their camel-cased names
   */
  run(cli: Cli, args: readonly unknown[], options: object): Promise<void>;
}

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
