/**
 * `completion`: the scripts are a few lines each and ask `tslayer completion --words …` for candidates, so that they
 * never go stale and know the names of images, mounts and containers.
 */
import { Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { addGlobals, splitCommand } from '../globals.ts';
import { COMMANDS, findCommand } from '../registry.ts';

// No `compgen -W`: it would expand what stands in a candidate. bash breaks words at colons, image names have them.
const BASH = `_tslayer() {
  local line="\${COMP_LINE:0:COMP_POINT}" candidate
  local current="\${line##* }" words
  local colon="\${current%"\${current##*:}"}"
  read -ra words <<<"$line"
  if [[ -z "$current" ]]; then words+=(""); fi
  COMPREPLY=()
  while IFS= read -r candidate; do
    if [[ "$candidate" == "$current"* ]]; then COMPREPLY+=("\${candidate#"$colon"}"); fi
  done < <(tslayer completion --words -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _tslayer tslayer
`;

const ZSH = `#compdef tslayer
_tslayer() {
  local -a candidates
  candidates=("\${(@f)$(tslayer completion --words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[*]}" ]]; then compadd -- "\${candidates[@]}"; else _files; fi
}
if [[ "$funcstack[1]" == _tslayer ]]; then _tslayer "$@"; else compdef _tslayer tslayer; fi
`;

const FISH = `function __tslayer_complete
  tslayer completion --words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c tslayer -a '(__tslayer_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('[shell-or-words...]', 'bash, zsh or fish')
      .addOption(new Option('--words').hideHelp())
      .addHelpText('after', '\nIn ~/.bashrc: source <(tslayer completion bash)');
  },

  async run(cli, [words]: [string[]], { words: asked }: { words?: true }) {
    if (asked) {
      for (const candidate of await candidates(cli, words)) cli.output.line(candidate);
      return;
    }
    const [shell = ''] = words;
    const script = SCRIPTS[shell];
    if (script === undefined || words.length !== 1) {
      const { TslayerError } = await import('../../errors.ts');
      throw new TslayerError('INVALID_ARGUMENT', 'the shell must be named: bash, zsh or fish');
    }
    cli.output.raw(script);
  },
};

/** What may stand in place of the last word; those before it are given. */
async function candidates(cli: Cli, words: readonly string[]): Promise<string[]> {
  const current = words.at(-1) ?? '';
  const { name, rest } = splitCommand(words.slice(0, -1));
  if (name === undefined) {
    return current.startsWith('-') ? globalFlags() : COMMANDS.map((entry) => entry.name);
  }
  const parser = new Command();
  (await findCommand(name).load()).define(parser);
  addGlobals(parser);
  const option = parser.options.find(({ short, long }) => rest.length > 0 && [short, long].includes(rest.at(-1)));
  if (option?.required) return option.argChoices ?? valuesOf(cli, option.attributeName());
  if (current.startsWith('-')) return parser.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  const given = rest.filter((word) => !word.startsWith('-')).length;
  const argument = parser.registeredArguments[given] ?? parser.registeredArguments.at(-1);
  return argument?.argChoices ?? (argument ? valuesOf(cli, argument.name()) : []);
}

function globalFlags(): string[] {
  const parser = new Command();
  addGlobals(parser);
  return parser.options.flatMap(({ long }) => (long ? [long] : []));
}

/** Arguments are named after what they stand for. An empty list leaves the shell to complete file names. */
async function valuesOf(cli: Cli, argument: string): Promise<string[]> {
  const tslayer = await cli.open();
  switch (argument) {
    case 'image':
    case 'images':
      return (await tslayer.images()).map((image) => image.name);
    case 'mount':
    case 'mounts':
      return (await tslayer.mounts()).map((mount) => mount.name);
    case 'pins':
      return (await tslayer.pins()).map((pin) => pin.name);
    case 'container':
    case 'containers':
      return (await tslayer.ps({ all: true })).map((container) => container.name);
    case 'driver':
      return (await tslayer.drivers()).map((driver) => driver.name);
    default:
      return [];
  }
}
