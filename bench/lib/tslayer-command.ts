/**
 * tslayer as it is installed and started: by its executable, as a shell does. That looks for `node` on PATH, where the
 * one that the benchmark itself runs on is put first.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The build that is measured: this clone's, or another one's. */
export const PROJECT: string = process.env.TSLAYER_BENCH_PROJECT ?? resolve(import.meta.dirname, '../..');

const { bin } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { bin: { tslayer: string } };

export const TSLAYER: string = join(PROJECT, bin.tslayer);

process.env.PATH = `${dirname(process.execPath)}:${process.env.PATH}`;

/** Why it cannot be measured, or undefined. */
export function tslayerMissing(): string | undefined {
  return existsSync(join(PROJECT, 'dist/src-cli-main.cjs')) ? undefined : 'not built: run npm run build';
}
