/**
 * What is changed in the sources on their way into a bundle: how they come by Node's own modules, by modules that are
 * started by name, and by what is imported when it is needed.
 */
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

export const BY_NAME = /moduleUrl\('(\.[^']*)', import\.meta\.url\)/g;
/** Not where it names a type. */
const DYNAMIC_BUILTIN = /(?<!typeof )\bimport\('(node:[a-z_/]+)'\)(?!\.)/g;
const BUILTIN = /^import (?!type\b)([^;'"]+?) from ['"](node:[a-z_/]+)['"];?$/gm;

/**
 * Of these, most starts call no function: node:crypto alone takes 5 ms to load. Functions are looked up when they are
 * called; whoever imports a class gets the module at once.
 */
const WHEN_CALLED = [
  ...['node:child_process', 'node:crypto', 'node:dns', 'node:fs/promises', 'node:net', 'node:readline/promises'],
  ...['node:stream/promises', 'node:timers/promises'],
];

/** Everything lies flat in the output: a module is found beside whichever file its caller ended up in. */
export const flat = (module) => module.replaceAll('/', '-');

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
        if (isOurs && WHEN_CALLED.includes(name) && !/\b[A-Z]/.test(names))
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

/** The plugin that does all this. @param isScript the output is none of modules */
export const rewrite = (root, { isScript = false } = {}) => ({
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
