/** Which packages travel inside of the bundles, and how the others are found. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

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

/** better-sqlite3's binary, from where npm puts the package: asking Node where that is takes 2 ms of every start. */
const BINDING = `
const { basename, dirname, join } = __builtin('node:path');
const root = dirname(dirname(__file));
const places = [join(root, 'node_modules')];
if (basename(dirname(root)) === 'node_modules') places.push(dirname(root));
const binding = places
  .map((place) => join(place, 'better-sqlite3/lib/binding.js'))
  .find((path) => __builtin('node:fs').existsSync(path));
module.exports = __fromPackages(
  binding ?? __fromPackages.resolve('better-sqlite3').replace(/index\\.js$/, 'binding.js'),
);`;

/** Packages that stay outside, and better-sqlite3's binary, which is found from the package's own directory. */
export const dependencies = {
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
    builder.onLoad({ filter: /.*/, namespace: 'binding' }, () => ({ contents: BINDING }));
  },
};

/** The licences of what was bundled travel with it. */
export function notices(root) {
  const text = INLINED.map((name) => {
    const directory = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const [file] = globSync('LICEN[CS]E*', { cwd: directory });
    return `${name} ${version} (${license})\n\n${file ? readFileSync(join(directory, file), 'utf8') : ''}`;
  });
  return text.join(`\n${'-'.repeat(78)}\n\n`);
}
