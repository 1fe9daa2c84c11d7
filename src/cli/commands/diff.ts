/**
 * `diff`: what was written to a mount or container, two images compared, or what layers of an image changed: A added,
 * C changed, D deleted.
 */
import { InvalidArgumentError } from 'commander';
import { TslayerError } from '../../errors.ts';
import type { FileChange, LayerRange, SnapshotChange } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { natural } from '../flags.ts';
import { size } from '../format.ts';

const LETTERS = { added: 'A', modified: 'C', deleted: 'D' } as const;

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .argument('<name>', 'a mount or container; with a second argument an image')
      .argument('[image]', 'the image to compare with')
      .option('--layers <range>', 'of an image, what its layer 3 (or its layers 3..5) changed; see layers', layerRange)
      .option('--no-times', 'times alone make no difference, between images');
  },

  async run(cli, [name, other]: [string, string | undefined], { times, layers }: DiffFlags) {
    if (layers && other !== undefined) {
      throw new TslayerError('INVALID_ARGUMENT', '--layers looks into one image, and two are named');
    }
    const tslayer = await cli.open();
    const options = { signal: cli.signal };
    if (layers) show(cli, await tslayer.diffLayers(name, layers, { ...options, times }), imageLine);
    else if (other === undefined) show(cli, await tslayer.diff(name, options), snapshotLine);
    else show(cli, await tslayer.diffImages(name, other, { ...options, times }), imageLine);
  },
};

interface DiffFlags {
  readonly times: boolean;
  readonly layers?: LayerRange;
}

function layerRange(text: string): LayerRange {
  const [from = '', to = from, ...rest] = text.split('..');
  if (rest.length > 0) throw new InvalidArgumentError('It is no range such as 3..5.');
  return { from: natural(from), to: natural(to) };
}

function show<T>(cli: Cli, changes: readonly T[], line: (change: T) => string): void {
  if (cli.json) cli.output.document(changes);
  else for (const change of changes) cli.output.line(line(change));
}

function snapshotLine({ change, path, file }: SnapshotChange): string {
  return `${LETTERS[change]} /${path}${file?.type === 'file' ? `  ${size(file.size)}` : ''}`;
}

function imageLine(change: FileChange): string {
  const file = change.change === 'deleted' ? change.before : change.after;
  const bytes = file.type === 'file' ? `  ${size(file.size)}` : '';
  const what = change.change === 'modified' ? `  (${change.what.join(', ')})` : '';
  return `${LETTERS[change.change]} /${file.path}${bytes}${what}`;
}
