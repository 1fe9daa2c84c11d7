/** `npm run bench -- pull …`: one of the programs in bench/, with its own options. Alone it lists them. */
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './shared/steps.ts';

const PROGRAMS = ['bench/*.ts', 'bench/drivers/{copies,mounts,peers,snapshots}.ts', 'bench/images/build.ts'];
const what = process.argv[2] ?? '';
const program = join(root, 'bench', `${what}.ts`);
if (what !== '' && existsSync(program)) {
  process.argv.splice(1, 2, program);
  await import(program);
} else {
  const all = PROGRAMS.flatMap((place) => globSync(place, { cwd: root })).map((file) =>
    file.slice('bench/'.length, -'.ts'.length),
  );
  process.stderr.write(
    `npm run bench -- WHAT, one of ${all.sort().join(', ')}; the head of bench/WHAT.ts has its options\n`,
  );
  process.exit(2);
}
