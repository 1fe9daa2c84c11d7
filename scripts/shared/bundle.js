/**
 * Bundles the sources into few files: a start of the command line then reads a dozen modules instead of two hundred,
 * and each costs half a millisecond. All entries share their chunks, so that a class is one class in all of them.
 *
 * Everything lies flat in the output, since a module that is started by name (a worker, a container's init) must be
 * found beside whichever chunk its caller ended up in.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/** What package.json exports, and the command line. */
const ENTRIES = {
  cli: 'src/cli/main.ts',
  index: 'src/index.ts',
  'registry-client': 'registry-client/index.ts',
  drivers: 'drivers/index.ts',
  'drivers-toolkit': 'drivers/toolkit.ts',
  'drivers-conformance': 'drivers/conformance/index.ts',
};

/** On the way of every start, so they are bundled, too; the other dependencies are loaded when they are needed. */
const INLINED = ['commander', 'ssri', 'minipass', 'valibot'];

const SOURCES = '{src,drivers,registry-client}/**/*.ts';
const BY_NAME = /moduleUrl\('(\.[^']*)', import\.meta\.url\)/g;

const flat = (module) => module.replaceAll('/', '-');

/** Modules that some source starts by name: path without extension, from the project's root. */
function startedModules(root) {
  return globSync(SOURCES, { cwd: root })
    .filter((path) => !path.endsWith('/module-url.ts'))
    .flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(BY_NAME)].map(([, name]) => join(dirname(path), name)),
    );
}

/** `moduleUrl('./worker', import.meta.url)` as it is in the flat output. */
const findByName = (root) => ({
  name: 'find-by-name',
  setup(builder) {
    builder.onLoad({ filter: /\/(src|drivers|registry-client)\/.*\.ts$/ }, ({ path }) => {
      if (path.endsWith('/module-url.ts')) return undefined;
      const text = readFileSync(path, 'utf8');
      const contents = text.replace(BY_NAME, (_, name) => {
        const module = relative(root, resolve(dirname(path), name));
        return `new URL('./${flat(module)}.js', import.meta.url)`;
      });
      return contents === text ? undefined : { contents, loader: 'ts' };
    });
  },
});

/**
 * Node's own modules without their ESM facade, which reads every export and so loads what hides behind getters:
 * `import 'node:process'` loads worker threads, `import 'node:fs'` the REPL's history, 3 to 5 ms each.
 */
const builtins = {
  name: 'builtins',
  setup(builder) {
    builder.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}')`,
    }));
  },
};

const external = {
  name: 'external',
  setup(builder) {
    builder.onResolve({ filter: /^[a-z@]/ }, ({ path }) => {
      const isBundled = path.startsWith('node:') || INLINED.includes(path);
      return isBundled ? undefined : { path, external: true };
    });
  },
};

/** The licences of what was bundled travel with it. */
function notices(root) {
  const text = INLINED.map((name) => {
    const directory = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const [file] = globSync('LICEN[CS]E*', { cwd: directory });
    return `${name} ${version} (${license})\n\n${file ? readFileSync(join(directory, file), 'utf8') : ''}`;
  });
  return text.join(`\n${'-'.repeat(78)}\n\n`);
}

/** @param root the project's root @param outdir where the modules go */
export async function bundle(root, outdir) {
  const started = startedModules(root).map((module) => [flat(module), `${module}.ts`]);
  await build({
    absWorkingDir: root,
    entryPoints: { ...ENTRIES, ...Object.fromEntries(started) },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    chunkNames: 'chunk-[hash]',
    // What is bundled of CommonJS asks for `require`.
    banner: { js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
    plugins: [findByName(root), external, builtins],
    logLevel: 'warning',
  });
  writeFileSync(join(outdir, 'THIRD-PARTY-NOTICES.txt'), notices(root));
}
