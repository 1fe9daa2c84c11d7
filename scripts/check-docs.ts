/** Looks that the documents tell the truth: links lead somewhere, and every command is in the README. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMMANDS } from '../src/cli/registry.ts';
import { root } from './shared/steps.ts';

const problems: string[] = [];

for (const file of globSync('**/*.md', { cwd: root, exclude: ['node_modules/**', 'dist/**'] })) {
  const text = readFileSync(join(root, file), 'utf8');
  for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    if (!existsSync(join(root, dirname(file), target))) problems.push(`${file}: ${target} is not there`);
  }
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
for (const { name } of COMMANDS) {
  if (!new RegExp(`\`(?:tslayer )?${name}\\b`).test(readme)) problems.push(`README.md: nothing about ${name}`);
}

for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exit(problems.length > 0 ? 1 : 0);
