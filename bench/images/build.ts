/**
 * Makes the images of the benchmarks in an OCI layout:
 *
 *     node bench/images/build.ts [--output .tmp/bench-images] [NAME…]
 *
 * From Debian's packages (mmdebstrap), the Alpine root file systems of TSLAYER_FIXTURES and this project's own
 * node_modules. What is there already stays.
 */
import { parseArgs } from 'node:util';
import { LayoutBuilder } from './layout.ts';
import { RECIPES } from './recipes.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: 'string', default: '.tmp/bench-images' } },
});

const builder = new LayoutBuilder(values.output);
const present = new Set(builder.names());
for (const { name, layers, summary } of RECIPES) {
  if (present.has(name) || (positionals.length > 0 && !positionals.includes(name))) continue;
  const started = performance.now();
  const built = await layers(builder);
  builder.image(name, built);
  const megabytes = built.reduce((sum, { size }) => sum + size, 0) / 1e6;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${name}: ${built.length} layers, ${megabytes.toFixed(1)} MB, ${seconds} s: ${summary}\n`);
}
