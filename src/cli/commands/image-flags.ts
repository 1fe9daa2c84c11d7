/** Flags of the commands that make a new image: `commit`, `import`, `squash`, `rebase`. */
import { type Command, Option } from 'commander';
import type { NewImageOptions, PullResult } from '../../index.ts';
import type { Cli } from '../cli.ts';
import { collect, natural } from '../flags.ts';
import { canonicalName } from '../names.ts';

export interface ConfigFlags {
  readonly change?: readonly string[];
  readonly author?: string;
  readonly message?: string;
  readonly unpack?: boolean;
}

export interface LayerFlags extends ConfigFlags {
  readonly compression?: 'gzip' | 'zstd' | 'none';
  readonly level?: number;
}

export function defineConfigFlags(parser: Command): void {
  parser
    .option('-c, --change <instruction>', 'as in a Dockerfile: CMD ["sh"], ENV A=b, USER 1000 …', collect)
    .option('-a, --author <author>', 'who made it')
    .option('-m, --message <text>', 'comment in the history')
    .addHelpText('after', '\nWith SOURCE_DATE_EPOCH in the environment the same input gives the same image.');
}

export function defineLayerFlags(parser: Command): void {
  parser
    .addOption(new Option('--compression <name>', 'of the new layer').choices(['gzip', 'zstd', 'none']))
    .option('--level <number>', 'gzip 1 to 9 (default: 4), zstd 1 to 19 (default: 3)', natural);
  defineConfigFlags(parser);
}

/** For the commands whose images are unpacked at once. */
export function defineNoUnpack(parser: Command): void {
  parser.option('--no-unpack', 'unpack it when it is first used');
}

export function newImageOptions({ change, ...flags }: LayerFlags): NewImageOptions {
  return { ...flags, changes: change };
}

/** What all of them end with. */
export function tellImage(cli: Cli, result: PullResult): void {
  cli.result({ ...result, reference: canonicalName(result) }, canonicalName(result));
}
