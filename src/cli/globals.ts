/** Options that every command takes, before or after the command's name. */
import { type Command, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from './output.ts';

export interface GlobalOptions {
  readonly root?: string;
  readonly driver?: string;
  readonly config?: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly logLevel: LogLevel;
  readonly debug?: true;
  /** From --no-color: true unless it was given. */
  readonly color: boolean;
  readonly plainHttp?: true;
  readonly insecure?: true;
}

/** Those that are followed by a value. */
const WITH_VALUE: ReadonlySet<string> = new Set(['--root', '--driver', '--config', '--log-level']);

function globalOptions(): Option[] {
  return [
    new Option('--root <dir>', "the store's directory (TSLAYER_ROOT)"),
    new Option('--driver <name>', 'storage driver; a store keeps the one it was made with (TSLAYER_DRIVER)'),
    new Option('--config <file>', 'read this configuration file alone (TSLAYER_CONFIG)'),
    new Option('--json', 'results, progress and errors as JSON'),
    new Option('-q, --quiet', 'results and errors only'),
    new Option('--log-level <level>', 'how much to say on stderr').choices(LOG_LEVELS).default('info'),
    new Option('--debug', 'the same as --log-level debug: requests, and where an error came from'),
    new Option('--no-color', 'no colours, as with NO_COLOR'),
    new Option('--plain-http', 'speak plain HTTP to the registries named in this command'),
    new Option('--insecure', 'accept any certificate of the registries named in this command'),
  ];
}

/** Adds the global options that the command does not define itself. */
export function addGlobals(command: Command): void {
  const own = new Set(command.options.flatMap((option) => [option.short, option.long]));
  command.optionsGroup('Global options:');
  for (const option of globalOptions()) {
    if (own.has(option.long)) continue;
    if (own.has(option.short)) delete option.short;
    command.addOption(option);
  }
}

export interface SplitArguments {
  readonly name: string | undefined;
  /** Everything else, in order. */
  readonly rest: readonly string[];
}

/** Finds the command's name: the first word that is no option and no option's value. */
export function splitCommand(argv: readonly string[]): SplitArguments {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '--') break;
    if (!word.startsWith('-')) return { name: word, rest: [...argv.slice(0, i), ...argv.slice(i + 1)] };
    if (WITH_VALUE.has(word)) i++;
  }
  return { name: undefined, rest: argv };
}
