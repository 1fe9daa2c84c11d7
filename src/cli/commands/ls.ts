/** `ls`: files of an image that is not mounted. */
import type { ListedFile } from '../../index.ts';
import type { CliCommand } from '../command.ts';

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('<image>', 'name or id')
      .argument('[path]', 'a directory or file in it', '/')
      .option('-R, --recursive', 'all that lies below');
  },

  async run(cli, [image, path]: [string, string], { recursive }: { recursive?: true }) {
    const tslayer = await cli.open();
    const files = await tslayer.ls(image, path, { recursive: recursive === true, signal: cli.signal });
    if (cli.json) return cli.output.document(files);
    const width = Math.max(0, ...files.map((file) => sizeOf(file).length));
    const owners = Math.max(0, ...files.map((file) => ownerOf(file).length));
    for (const file of files) {
      const columns = [modeOf(file), ownerOf(file).padEnd(owners), sizeOf(file).padStart(width), timeOf(file)];
      cli.output.line(`${columns.join('  ')}  /${file.path}${file.target === undefined ? '' : ` -> ${file.target}`}`);
    }
  },
};

const LETTERS: Readonly<Record<ListedFile['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
  unknown: '?',
};

/** `-rwsr-xr-x`, as ls(1) writes it. */
export function modeOf({ type, mode }: Pick<ListedFile, 'type' | 'mode'>): string {
  const bits = Number.parseInt(mode, 8);
  const triple = (shift: number, special: number, letter: string): string => {
    const [r, w, x] = [(bits >> shift) & 4, (bits >> shift) & 2, (bits >> shift) & 1];
    const last = bits & special ? (x ? letter : letter.toUpperCase()) : x ? 'x' : '-';
    return `${r ? 'r' : '-'}${w ? 'w' : '-'}${last}`;
  };
  return `${LETTERS[type]}${triple(6, 0o4000, 's')}${triple(3, 0o2000, 's')}${triple(0, 0o1000, 't')}`;
}

function ownerOf({ uid, gid }: ListedFile): string {
  return `${uid}:${gid}`;
}

function sizeOf(file: ListedFile): string {
  return file.device ?? String(file.size);
}

function timeOf({ mtime }: ListedFile): string {
  return mtime.replace('T', ' ').replace(/(?::\d\d)(?:\.\d+)?Z$/, '');
}
