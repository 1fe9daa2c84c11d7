/** `diff`: what was written to a mount or container, or two images compared: A added, C changed, D deleted. */
import type { FileChange, SnapshotChange } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';

const LETTERS = { added: 'A', modified: 'C', deleted: 'D' } as const;

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .argument('<name>', 'a mount or container; with a second argument an image')
      .argument('[image]', 'the image to compare with')
      .option('--no-times', 'times alone make no difference, between images');
  },

  async run(cli, [name, other]: [string, string | undefined], { times }: { times: boolean }) {
    const tslayer = await cli.open();
    const options = { signal: cli.signal };
    if (other === undefined) show(cli, await tslayer.diff(name, options), snapshotLine);
    else show(cli, await tslayer.diffImages(name, other, { ...options, times }), imageLine);
  },
};

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
