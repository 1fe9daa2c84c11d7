/** The command line: a script in parts, whose compiled code bin/program.cjs keeps, as it could not a module's. */
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { FIRST_PART, partsOf, sharedModules } from './parts.js';
import { flat } from './sources.js';

const MAIN = 'src/cli/main';

/** @param options of esbuild, the same for every part */
export async function bundleMain(root, options) {
  const inputs = await modulesOf(options);
  const parts = partsOf(inputs);
  const shared = sharedModules(inputs, parts);
  const exported = await exportsOf(shared, options);
  for (const part of new Set(parts.values())) {
    const own = shared.filter((module) => parts.get(module) === part);
    const plugins = [otherParts(root, part, parts, exported), ...options.plugins];
    const name = part === FIRST_PART ? flat(MAIN) : `${flat(MAIN)}-${part}`;
    const entry = { contents: contentsOf(part, own), resolveDir: root, sourcefile: `${part}.js` };
    const { outputFiles } = await build({ ...options, plugins, stdin: entry, write: false });
    for (const { text } of outputFiles) writeFileSync(join(options.outdir, `${name}.cjs`), text);
  }
}

/** What a part gives: modules by name, evaluated when they are asked for; the first one also the program. */
function contentsOf(part, modules) {
  const table = modules.map((module) => `${JSON.stringify(module)}: () => require('./${module}'),`);
  const program =
    part === FIRST_PART ? `module.exports.runProcess = (argv) => require('./${MAIN}.ts').runProcess(argv);` : '';
  return `module.exports = {\n${table.join('\n')}\n};\n${program}`;
}

async function modulesOf(options) {
  const analysis = { ...options, entryPoints: [`${MAIN}.ts`], write: false, metafile: true };
  return (await build(analysis)).metafile.inputs;
}

/** The names that each of the modules exports. */
async function exportsOf(modules, options) {
  const esm = { format: 'esm', splitting: true, write: false, metafile: true };
  const { metafile } = await build({ ...options, ...esm, entryPoints: modules });
  // What is imported when it is needed is an entry point, too.
  const outputs = Object.values(metafile.outputs).filter(({ entryPoint }) => modules.includes(entryPoint));
  return new Map(outputs.map(({ entryPoint, exports }) => [entryPoint, exports]));
}

/** A module of another part is one that takes its exports from there, by name: as fast to use as an own one. */
function otherParts(root, part, parts, exported) {
  return {
    name: 'other-parts',
    setup(builder) {
      builder.onResolve({ filter: /.*/ }, async ({ path, pluginData, ...where }) => {
        if (pluginData?.isResolved || where.kind === 'entry-point') return undefined;
        const found = await builder.resolve(path, { ...where, pluginData: { isResolved: true } });
        const module = relative(root, found.path);
        const isElsewhere = exported.has(module) && parts.get(module) !== part;
        return isElsewhere ? { path: module, namespace: 'part' } : undefined;
      });
      builder.onLoad({ filter: /.*/, namespace: 'part' }, ({ path }) => {
        const names = exported.get(path);
        const [others, isDefault] = [names.filter((name) => name !== 'default'), names.includes('default')];
        const list = `export const { ${others.join(', ')} } = __module;`;
        const value = isDefault ? 'export default __module.default;' : '';
        const source = `const __module = __part(${JSON.stringify(parts.get(path))})[${JSON.stringify(path)}]();`;
        return { contents: [source, list, value].join('\n') };
      });
    },
  };
}
