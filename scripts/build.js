/**
 * Builds dist/ from the sources: bundled modules, and declarations beside them. Also npm's `prepare` (with
 * --if-stale): that runs at `npm ci`, and again the first time that `npx tslayer` is called in a clone, when dist/
 * may be in use. So a build that is current stays, and a new one is put in its place as a whole. Plain JavaScript:
 * `npm ci --omit=dev` runs it with whatever Node there is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = ['src', 'drivers', 'registry-client', 'scripts/shared/bundle', 'tsconfig.json', 'tsconfig.build.json'];
const compiler = join(root, 'node_modules/.bin/tsc');
const built = join(root, 'dist');
const fresh = join(root, 'node_modules/.tslayer-build');
const old = join(root, 'node_modules/.tslayer-old');

/** The latest change below a path; a directory changes when files come and go. */
function changedAt(path) {
  const stats = statSync(path);
  const below = stats.isDirectory() ? readdirSync(path).map((name) => changedAt(join(path, name))) : [];
  return Math.max(stats.mtimeMs, ...below);
}

function isCurrent() {
  const oldest = statSync(built, { throwIfNoEntry: false });
  return oldest !== undefined && sources.every((name) => changedAt(join(root, name)) < oldest.mtimeMs);
}

async function build() {
  rmSync(fresh, { recursive: true, force: true });
  const options = ['-p', 'tsconfig.build.json', '--outDir', join(fresh, 'types')];
  if (spawnSync(compiler, options, { cwd: root, stdio: 'inherit' }).status !== 0) process.exit(1);
  const { bundle } = await import('./shared/bundle/bundle.js');
  await bundle(root, fresh);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(built)) renameSync(built, old);
  renameSync(fresh, built);
  rmSync(old, { recursive: true, force: true });
}

if (!existsSync(compiler)) process.stderr.write('no TypeScript here: nothing is built\n');
else if (!process.argv.includes('--if-stale') || !isCurrent()) await build();
