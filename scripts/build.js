/**
 * Builds dist/ from the sources, and makes `npx tslayer` work in a clone. Also npm's `prepare`, which runs without
 * the development dependencies for `npm ci --omit=dev`: then there is nothing to build with, and that is no error.
 * Plain JavaScript, since the machine's own Node may be an old one then.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = join(root, 'node_modules/.bin/tsc');
if (!existsSync(compiler)) {
  process.stderr.write('no TypeScript here: nothing is built\n');
  process.exit(0);
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
const { status } = spawnSync(compiler, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(1);

const link = join(root, 'node_modules/.bin/tslayer');
if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync('../../bin/tslayer.js', link);
