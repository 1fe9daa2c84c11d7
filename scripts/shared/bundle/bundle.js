/**
 * Bundles the sources into few files, because a start of the command line is judged in milliseconds: reading two
 * hundred small modules costs more than Node itself does. Everything lies flat in the output, since a module that is
 * started by name (a worker, a container's init) must be found beside whichever file its caller ended up in.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { bundleMain } from './main.js';
import { dependencies, notices } from './packages.js';
import { BY_NAME, flat, rewrite } from './sources.js';

/** Programs: one file each. What they import dynamically lies in it too, and is evaluated when it is asked for. */
const PROGRAMS = ['src/launch/watcher', 'src/remove-at-end'];

/** What package.json exports. They share their chunks, and so do the modules that threads load by name. */
const EXPORTS = {
  index: 'src/index.ts',
  'registry-client': 'registry-client/index.ts',
  drivers: 'drivers/index.ts',
  'drivers-toolkit': 'drivers/toolkit.ts',
  'drivers-conformance': 'drivers/conformance/index.ts',
};

const SOURCES = '{src,drivers,registry-client}/**/*.ts';

/** Modules that some source starts by name: path without extension, from the project's root. */
function startedModules(root) {
  return globSync(SOURCES, { cwd: root })
    .filter((path) => !path.endsWith('/module-url.ts'))
    .flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(BY_NAME)].map(([, name]) => join(dirname(path), name)),
    );
}

const PROLOGUE = [
  'const __builtin = process.getBuiltinModule;',
  // The global `performance` loads all of perf_hooks for a clock.
  'const __now = () => { const [s, ns] = process.hrtime(); return s * 1e3 + ns / 1e6; };',
];
const BANNER = [
  ...PROLOGUE,
  "const __fromPackages = __builtin('node:module').createRequire(import.meta.url), require = __fromPackages;",
  "const __file = __builtin('node:url').fileURLToPath(import.meta.url);",
].join('\n');
/** As a module would have it: strict, and with an address that others are found from. */
const SCRIPT_BANNER = [
  "'use strict';",
  ...PROLOGUE,
  'const __fromPackages = require, __file = __filename;',
  "const __address = __builtin('node:url').pathToFileURL(__filename).href;",
].join('\n');

/** @param root the project's root @param outdir where the modules go */
export async function bundle(root, outdir) {
  const options = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    minifyWhitespace: true,
    define: { 'performance.now': '__now' },
    banner: { js: BANNER },
    plugins: [rewrite(root), dependencies],
    logLevel: 'warning',
  };
  await bundleMain(root, {
    ...options,
    format: 'cjs',
    banner: { js: SCRIPT_BANNER },
    plugins: [rewrite(root, { isScript: true }), dependencies],
    define: { ...options.define, 'import.meta.url': '__address' },
  });
  const entry = (module) => [flat(module), `${module}.ts`];
  await build({ ...options, entryPoints: Object.fromEntries(PROGRAMS.map(entry)) });
  const shared = startedModules(root).filter((module) => !PROGRAMS.includes(module));
  // Apart: chunks are what entries have in common, and the fewer entries, the fewer files a thread has to read.
  for (const [group, entryPoints] of [
    ['thread', Object.fromEntries(shared.map(entry))],
    ['chunk', EXPORTS],
  ]) {
    await build({ ...options, entryPoints, splitting: true, chunkNames: `${group}-[hash]` });
  }
  writeFileSync(join(outdir, 'THIRD-PARTY-NOTICES.txt'), notices(root));
}
