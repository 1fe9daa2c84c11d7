/**
 * Bundles the sources into few files, because a start of the command line is judged in milliseconds: reading two
 * hundred small modules costs more than Node itself does. Everything lies flat in the output, since a module that is
 * started by name (a worker, a container's init) must be found beside whichever file its caller ended up in.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/** Programs: one file each. What they import dynamically lies in it too, and is evaluated when it is asked for. */
const PROGRAMS = ['src/launch/watcher', 'src/remove-at-end'];
/** The one that users wait for: a script, whose compiled code bin/program.cjs keeps, as it could not a module's. */
const MAIN = 'src/cli/main';

/** What package.json exports. They share their chunks, and so do the modules that threads load by name. */
const EXPORTS = {
  index: 'src/index.ts',
  'registry-client': 'registry-client/index.ts',
  drivers: 'drivers/index.ts',
  'drivers-toolkit': 'drivers/toolkit.ts',
  'drivers-conformance': 'drivers/conformance/index.ts',
};

/** On the way of most starts, so they are bundled, too; other dependencies are found in node_modules when needed. */
const INLINED = [
  ...[
    'better-sqlite3',
    'commander',
    'minipass',
    'p-limit',
    'picocolors',
    'pretty-bytes',
    'smol-toml',
    'ssri',
    'valibot',
  ],
  'yocto-queue',
];

const SOURCES = '{src,drivers,registry-client}/**/*.ts';
const BY_NAME = /moduleUrl\('(\.[^']*)', import\.meta\.url\)/g;
/** Not where it names a type. */
const DYNAMIC_BUILTIN = /(?<!typeof )\bimport\('(node:[a-z_/]+)'\)(?!\.)/g;
const BUILTIN = /^import (?!type\b)([^;'"]+?) from ['"](node:[a-z_/]+)['"];?$/gm;

/**
 * What is imported from these are functions, and most starts call none of them: node:crypto alone takes 5 ms to load.
 * They are looked up when they are called.
 */
const WHEN_CALLED = [
  ...['node:child_process', 'node:crypto', 'node:dns', 'node:fs/promises', 'node:readline/promises'],
  ...['node:stream/promises', 'node:timers/promises'],
];

const flat = (module) => module.replaceAll('/', '-');

/** Modules that some source starts by name: path without extension, from the project's root. */
function startedModules(root) {
  return globSync(SOURCES, { cwd: root })
    .filter((path) => !path.endsWith('/module-url.ts'))
    .flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(BY_NAME)].map(([, name]) => join(dirname(path), name)),
    );
}

/**
 * Node's own modules without their ESM facade, which reads every export and so loads what hides behind getters:
 * `import 'node:process'` loads worker threads, `import 'node:fs'` streams and the REPL's history, 3 to 5 ms each.
 * commander imports whole modules for commands that are programs of their own: it gets them when it asks for them.
 */
function withoutFacades(text, path) {
  return text
    .replace(BUILTIN, (_, what, name) => {
      const module = name === 'node:process' ? 'globalThis.process' : `__builtin('${name}')`;
      if (what.startsWith('{')) {
        const names = what.replace(/\btype \w+( as \w+)?,?/g, '').replaceAll('\n', ' ');
        const isOurs = !path.includes('/node_modules/');
        if (isOurs && WHEN_CALLED.includes(name))
          return names.replace(/[{}]/g, '').split(',').map(whenCalled(module)).join('');
        return `const ${names.replaceAll(' as ', ': ')} = ${module};`;
      }
      const isLazy = path.includes('/commander/') && name !== 'node:process';
      return `const ${what.replace('* as ', '')} = ${isLazy ? `new Proxy({}, { get: (_, key) => ${module}[key] })` : module};`;
    })
    .replace(DYNAMIC_BUILTIN, "Promise.resolve(__builtin('$1'))");
}

const whenCalled = (module) => (imported) => {
  const [name, local = name] = imported.trim().split(' as ');
  return name === '' ? '' : `const ${local} = (...args) => ${module}.${name}(...args);`;
};

/** `moduleUrl('./worker', import.meta.url)` as it is in the flat output. */
function withFlatNames(text, path, root) {
  if (path.endsWith('/module-url.ts')) return text;
  return text.replace(BY_NAME, (_, name) => {
    const module = relative(root, resolve(dirname(path), name));
    return `new URL('./${flat(module)}.js', import.meta.url)`;
  });
}

/**
 * A script's own import() is the experimental one of node:vm, and says so on standard error: what is neither bundled nor
 * Node's is imported by whoever loads the script.
 */
function withGivenImport(text) {
  return text.replace(/(?<=\bawait )import\((?!'\.)/g, '__import(');
}

const rewrite = (root, { isScript = false } = {}) => ({
  name: 'rewrite',
  setup(builder) {
    builder.onLoad({ filter: /\.(ts|m?js)$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes("'node:") && !text.includes('"node:') && !/moduleUrl\(|await import\(/.test(text))
        return undefined;
      const here = withFlatNames(withoutFacades(text, path), path, root);
      const contents = isScript ? withGivenImport(here) : here;
      return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
    });
  },
});

/** Packages that stay outside, and better-sqlite3's binary, which is found from the package's own directory. */
const dependencies = {
  name: 'dependencies',
  setup(builder) {
    builder.onResolve({ filter: /^[a-z@]/ }, ({ path, kind }) => {
      if (kind === 'entry-point' || INLINED.includes(path)) return undefined;
      const isOurs = kind === 'import-statement' && path === 'tar-stream';
      return isOurs ? { path, namespace: 'commonjs' } : { path, external: true };
    });
    builder.onResolve({ filter: /^\.\/binding$/ }, () => ({ path: 'better-sqlite3', namespace: 'binding' }));
    builder.onLoad({ filter: /.*/, namespace: 'commonjs' }, ({ path }) => ({
      contents: `module.exports = __fromPackages('${path}')`,
    }));
    builder.onLoad({ filter: /.*/, namespace: 'binding' }, () => ({
      contents:
        "module.exports = __fromPackages(__fromPackages.resolve('better-sqlite3').replace(/index\\.js$/, 'binding.js'))",
    }));
  },
};

const PROLOGUE = [
  'const __builtin = process.getBuiltinModule;',
  // The global `performance` loads all of perf_hooks for a clock.
  'const __now = () => { const [s, ns] = process.hrtime(); return s * 1e3 + ns / 1e6; };',
];
const BANNER = [
  ...PROLOGUE,
  "const __fromPackages = __builtin('node:module').createRequire(import.meta.url), require = __fromPackages;",
].join('\n');
/** As a module would have it: strict, and with an address that others are found from. */
const SCRIPT_BANNER = [
  "'use strict';",
  ...PROLOGUE,
  "const __fromPackages = require, __address = __builtin('node:url').pathToFileURL(__filename).href;",
].join('\n');

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
  const entry = (module) => [flat(module), `${module}.ts`];
  const shared = startedModules(root).filter((module) => !PROGRAMS.includes(module));
  await build({
    ...options,
    entryPoints: Object.fromEntries([entry(MAIN)]),
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    banner: { js: SCRIPT_BANNER },
    plugins: [rewrite(root, { isScript: true }), dependencies],
    define: { ...options.define, 'import.meta.url': '__address' },
  });
  await build({ ...options, entryPoints: Object.fromEntries(PROGRAMS.map(entry)) });
  // Apart: chunks are what entries have in common, and the fewer entries, the fewer files a thread has to read.
  for (const [group, entryPoints] of [
    ['thread', Object.fromEntries(shared.map(entry))],
    ['chunk', EXPORTS],
  ]) {
    await build({ ...options, entryPoints, splitting: true, chunkNames: `${group}-[hash]` });
  }
  writeFileSync(join(outdir, 'THIRD-PARTY-NOTICES.txt'), notices(root));
}
