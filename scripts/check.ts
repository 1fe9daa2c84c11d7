/** `npm run check`: everything that must hold before a commit. `-- --fast` leaves the tests that need root out. */
import { globSync } from 'node:fs';
import { root, runStep, type Step } from './shared/steps.ts';

const fast = process.argv.includes('--fast');

const examples: Step[] = globSync('examples/*.ts', { cwd: root })
  .sort()
  .map((file) => ({ name: file, command: ['node', file] }));

const steps: Step[] = [
  // First: the examples import the package by its name.
  { name: 'build', command: ['node', 'scripts/build.js'] },
  { name: 'format and lint', command: ['biome', 'ci', '--error-on-warnings'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'layering', command: ['node', '--test', 'test/unit/layering.test.ts'] },
  { name: 'package', command: ['publint', '--strict'] },
  { name: 'documents', command: ['node', '--test', 'test/unit/documents.test.ts'] },
  ...(fast ? [] : examples),
];

// All of them, so that one run shows all that is wrong.
const failed = steps.filter((step) => !runStep(step, false));
const tests: Step = { name: 'tests', command: ['node', 'scripts/test.ts', ...(fast ? ['unit'] : [])] };
if (!runStep(tests, true)) failed.push(tests);
if (failed.length > 0) {
  process.stdout.write(`failed: ${failed.map((step) => step.name).join(', ')}\n`);
  process.exit(1);
}
